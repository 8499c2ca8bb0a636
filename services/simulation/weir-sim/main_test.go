package main

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

func TestAWorkerRunsTheSeedsThatItIsGiven(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var out bytes.Buffer
	if err := work(strings.NewReader("2\n7\n"), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, seed := range []uint64{2, 7} {
		if r, err := parseResult(lines[i]); err != nil || r.seed != seed || r.frames == 0 || r.broken != "" {
			t.Errorf("seed %d: %+v, %v", seed, r, err)
		}
	}
}

func TestAResultSurvivesItsLine(t *testing.T) {
	want := result{seed: 3, frames: 4, broken: "seed 3: lost\nand more"}
	got, err := parseResult(want.String())
	if err != nil || got.seed != 3 || got.frames != 4 || first(got.broken) != "seed 3: lost" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "3", "x 4 ", "3 y "} {
		if _, err := parseResult(bad); err == nil {
			t.Errorf("%q is a result", bad)
		}
	}
}
