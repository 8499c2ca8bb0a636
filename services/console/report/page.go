package report

import (
	"fmt"

	"weir/services/console/facts"
	"weir/services/console/terminal"
	"weir/services/version"
)

const width = terminal.Columns - 1

// Help is the last line of the status page.
const Help = " Type a command; help lists them. Enter: prompt. Ctrl-L: paint again."

// Page is the status page: at most terminal.Rows lines. Of the problems as many
// as leave room for the rest, then the sections in the order of their
// importance, as far as there is room.
func Page(f *facts.Facts) []terminal.Line {
	page := []terminal.Line{{Text: headline(f), Style: terminal.Reverse}}
	page = append(page, problemLines(Problems(f), problemRoom)...)
	room := terminal.Rows - 1 - len(page)
	for _, s := range Sections(f) {
		if room < 1 {
			break
		}
		lines := s.lines()
		if most := min(room, s.Most); len(lines) > most {
			lines = append(lines[:most-1:most-1], fmt.Sprintf("%-*s.. more: %s", labelWidth, "", s.Command))
		}
		for _, l := range lines {
			page = append(page, terminal.Line{Text: l})
		}
		room -= len(lines)
	}
	for len(page) < terminal.Rows-1 {
		page = append(page, terminal.Line{})
	}
	return append(page, terminal.Line{Text: Help, Style: terminal.Reverse})
}

// Waiting is the page before anything is known.
func Waiting() []terminal.Line {
	page := make([]terminal.Line, terminal.Rows)
	page[0] = terminal.Line{Text: " Weir " + version.Version + "  asking init, noded and dataplane", Style: terminal.Reverse}
	page[terminal.Rows-1] = terminal.Line{Text: Help, Style: terminal.Reverse}
	return page
}

// problemRoom is how many lines problems take at most.
const problemRoom = 11

// problemLines tells the problems in at most room lines: each with its remedy.
func problemLines(all []Problem, room int) (out []terminal.Line) {
	for i, p := range all {
		var lines []terminal.Line
		for j, l := range terminal.Wrap(terminal.Clean(p.What), width-2) {
			mark := "! "
			if j > 0 {
				mark = "  "
			}
			lines = append(lines, terminal.Line{Text: mark + l, Style: terminal.Bold})
		}
		if p.Remedy != "" {
			for j, l := range terminal.Wrap(terminal.Clean(p.Remedy), width-5) {
				mark := "  -> "
				if j > 0 {
					mark = "     "
				}
				lines = append(lines, terminal.Line{Text: mark + l})
			}
		}
		left := room - len(out)
		if i < len(all)-1 {
			left-- // for the line that says how many more there are
		}
		if len(lines) > left {
			if i == 0 { // one that is longer than all the room: its beginning
				out = append(out, lines[:left]...)
				i++
			}
			if i < len(all) {
				out = append(out, terminal.Line{Text: fmt.Sprintf("! %d more: status", len(all)-i), Style: terminal.Bold})
			}
			return out
		}
		out = append(out, lines...)
	}
	return out
}

// headline says which node this is.
func headline(f *facts.Facts) string {
	v, slot := version.Version, ""
	if b := f.Boot; b != nil {
		v = b.Version
		if b.Slot != "" {
			slot = "  slot " + b.Slot
		}
	}
	name := "node not configured"
	if f.File != nil {
		name = f.File.Node
	}
	if f.Node != nil {
		name = f.Node.Id + " of " + f.Node.Cluster
	}
	right := f.At.UTC().Format("  2006-01-02 15:04:05Z ")
	left := terminal.Clean(fmt.Sprintf(" Weir %s  %s%s  up %s", v, name, slot, Span(f.Uptime.Seconds())))
	return fmt.Sprintf("%-*s%s", width-len(right), terminal.Cut(left, width-len(right)), right)
}
