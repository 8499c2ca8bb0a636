// Package config reads the operator's files: node.yaml, cluster.yaml and
// module.yaml. Reading is strict: an unknown or doubled key, a wrong type or a
// value out of range is refused with its file, line and path (S-110), because
// a misspelt key that is silently ignored is an outage later.
package config

import (
	"cmp"
	"fmt"
	"slices"
)

// Error is one thing wrong with a configuration file.
type Error struct {
	File   string
	Line   int    // from 1; 0 when the file as a whole is meant
	Path   string // such as nodes[0].bgp.left; empty at the top
	Reason string
	Remedy string // what the operator can do; may be empty
}

// Error is the form "file:line: path: reason; remedy".
func (e *Error) Error() string {
	s := e.File
	if e.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, e.Line)
	}
	if e.Path != "" {
		s += ": " + e.Path
	}
	s += ": " + e.Reason
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Errors is everything wrong with one file, in the order of its lines. As an
// error it is one line, the first one; `weirctl config check` prints them all.
type Errors []*Error

func (e Errors) Error() string {
	switch len(e) {
	case 0:
		return "no errors"
	case 1:
		return e[0].Error()
	}
	return fmt.Sprintf("%s (and %d more)", e[0].Error(), len(e)-1)
}

// sorted is nil when there is no error, so that it can be returned as one.
func (e Errors) sorted() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return e
}
