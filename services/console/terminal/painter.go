package terminal

import (
	"bytes"
	"fmt"
	"io"
)

// Style is how a line is shown: what a VT100 can do (its SGR parameter).
type Style uint8

// The styles.
const (
	Plain   Style = 0
	Bold    Style = 1
	Reverse Style = 7
)

// Line is one line of a page. A reversed line is as wide as the page.
type Line struct {
	Text  string
	Style Style
}

// width is what a page uses of a row.
const width = Columns - 1

type cell struct {
	char  byte
	style Style
}

// Painter shows pages, and of each only what differs from the one before: at
// 115200 baud a whole page takes a sixth of a second.
type Painter struct {
	w     io.Writer
	shown [Rows][width]cell
	clean bool // shown is what the terminal shows
}

// NewPainter begins with a terminal that shows anything.
func NewPainter(w io.Writer) *Painter { return &Painter{w: w} }

// Forget has the next page painted in full: something else wrote to the terminal.
func (p *Painter) Forget() { p.clean = false }

// Paint shows the first Rows lines. The cursor rests in the last row.
func (p *Painter) Paint(page []Line) error {
	var b bytes.Buffer
	if !p.clean {
		b.WriteString("\x1b[0m\x1b[H\x1b[2J") // SGR, CUP, ED (VT100)
		p.blank()
	}
	style := Plain
	for row := range Rows {
		var l Line
		if row < len(page) {
			l = page[row]
		}
		style = p.row(&b, row, cells(l), style)
	}
	if b.Len() == 0 {
		return nil
	}
	if style != Plain {
		b.WriteString("\x1b[0m")
	}
	fmt.Fprintf(&b, "\x1b[%d;1H", Rows)
	p.clean = true
	_, err := p.w.Write(b.Bytes())
	return err
}

func (p *Painter) blank() {
	for row := range p.shown {
		p.shown[row] = cells(Line{})
	}
}

func cells(l Line) (out [width]cell) {
	text := Cut(Clean(l.Text), width)
	for i := range out {
		switch {
		case i < len(text):
			out[i] = cell{text[i], l.Style}
		case l.Style == Reverse:
			out[i] = cell{' ', Reverse}
		default:
			out[i] = cell{' ', Plain}
		}
	}
	return out
}

// moving the cursor takes about as many characters as writing over this many.
const worthMoving = 8

// row writes the parts of a row that differ, and returns the style in force.
func (p *Painter) row(b *bytes.Buffer, row int, want [width]cell, style Style) Style {
	have := &p.shown[row]
	at := -1 // where the cursor is in this row
	for col := range want {
		if want[col] == have[col] {
			continue
		}
		if at < 0 || col-at > worthMoving {
			fmt.Fprintf(b, "\x1b[%d;%dH", row+1, col+1)
			at = col
		}
		for ; at <= col; at++ {
			if want[at].style != style {
				style = want[at].style
				b.WriteString("\x1b[0m")
				if style != Plain {
					fmt.Fprintf(b, "\x1b[%dm", style)
				}
			}
			b.WriteByte(want[at].char)
		}
	}
	*have = want
	return style
}

// Leave puts the cursor on a new line below the page.
func (p *Painter) Leave() error {
	p.clean = false
	_, err := fmt.Fprintf(p.w, "\x1b[0m\x1b[%d;1H\r\n", Rows)
	return err
}
