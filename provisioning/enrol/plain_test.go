package enrol

import (
	"strings"
	"testing"
	"unicode"
)

// A machine's reasons are shown on operators' terminals.
func FuzzReasonsAreOneHarmlessLine(f *testing.F) {
	for _, s := range []string{"dataplane crashes", "a\nb", "\x1b[2J\x1b]0;x\x07", strings.Repeat("é", maxReason), "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := plain(s)
		for _, c := range got {
			if !unicode.IsPrint(c) {
				t.Fatalf("%q", got)
			}
		}
		if len(got) > maxReason+3 {
			t.Fatalf("%d bytes", len(got))
		}
	})
}
