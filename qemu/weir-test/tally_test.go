package main

import (
	"bytes"
	"strings"
	"testing"
)

func count(t *testing.T, events string) (*tally, string) {
	t.Helper()
	var out bytes.Buffer
	total := &tally{out: &out}
	if err := total.read(strings.NewReader(events), false); err != nil {
		t.Fatal(err)
	}
	return total, out.String()
}

func TestEveryTestAndSubtestCountsOnce(t *testing.T) {
	total, _ := count(t, `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}
`)
	if got, want := total.line(), "2 passed, 1 failed, 1 skipped"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAPackageThatFailsWithoutAFailedTestCountsAsOneFailure(t *testing.T) {
	total, out := count(t, `{"Action":"build-output","ImportPath":"p [p.test]","Output":"p.go:1: no such thing\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}
`)
	if got, want := total.line(), "0 passed, 1 failed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !strings.Contains(out, "no such thing") {
		t.Errorf("the compiler's words are not shown: %q", out)
	}
}

func TestAPanicShowsTheTestThatWasRunning(t *testing.T) {
	_, out := count(t, `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}
{"Action":"fail","Package":"p"}
`)
	if !strings.Contains(out, "boom") {
		t.Errorf("the panic is not shown: %q", out)
	}
}
