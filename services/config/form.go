package config

import (
	"regexp"
	"sync"
)

// form is a regular expression that is compiled when it is first used. Every
// program has this package, few check all of it, and a node's start is waited for.
func form(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
