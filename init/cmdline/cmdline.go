// Package cmdline reads the kernel's boot command line: where the node's
// configuration is, which slot was booted, and how to reach the network before
// there is a configuration.
package cmdline

import (
	"net/url"
	"strings"
)

// Line is a boot command line.
type Line struct {
	words []word
}

type word struct {
	key, value string
	assigned   bool // there was a "="
}

// Parse splits the line at spaces outside of double quotes, as the kernel does.
// Any text is a command line.
func Parse(text string) Line {
	var l Line
	var b strings.Builder
	quoted := false
	end := func() {
		if b.Len() > 0 {
			key, value, assigned := strings.Cut(b.String(), "=")
			l.words = append(l.words, word{key, value, assigned})
			b.Reset()
		}
	}
	for _, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
			end()
		default:
			b.WriteRune(c)
		}
	}
	end()
	return l
}

// Get is the value of the last word with that key: a boot loader's menu adds
// its words at the end.
func (l Line) Get(key string) (value string, there bool) {
	for _, w := range l.words {
		if w.key == key {
			value, there = w.value, true
		}
	}
	return value, there
}

// String is the line for showing to people: passwords in URLs are left out.
func (l Line) String() string {
	parts := make([]string, 0, len(l.words))
	for _, w := range l.words {
		part := w.key
		if w.assigned {
			part += "=" + withoutPassword(w.value)
		}
		if strings.ContainsAny(part, " \t\n") {
			part = `"` + part + `"`
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

func withoutPassword(value string) string {
	if !strings.Contains(value, "://") {
		return value
	}
	u, err := url.Parse(value)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}

// Slot is what the image was booted from: "a", "b", "net", or empty.
func (l Line) Slot() string {
	switch slot, _ := l.Get("weir.slot"); slot {
	case "a", "b", "net":
		return slot
	}
	return ""
}
