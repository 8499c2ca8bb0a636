package main

import (
	"os"
	"strings"
)

// console prints init's own lines on /dev/console. A terminal that takes
// nothing, such as a serial line with flow control, holds nobody up.
type console struct{ lines chan string }

func newConsole() *console {
	c := &console{lines: make(chan string, 512)}
	go func() {
		for line := range c.lines {
			os.Stdout.WriteString(line)
		}
	}()
	return c
}

// print shows a text of one or more lines, or drops it if hundreds wait. The
// console service may have set the terminal to raw: hence the returns.
func (c *console) print(text string) {
	select {
	case c.lines <- strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\r\n") + "\r\n":
	default:
	}
}
