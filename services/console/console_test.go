package main

import (
	"strings"
	"testing"
)

func TestStatusPageOfAHealthyNode(t *testing.T) {
	r := newRig(t, nil, nil)
	r.sees("Weir 0.4.0  lb1 of lab  slot a", "announced, healthy; ring 7 settled", "lb2", "1234 established", "4 of 4 healthy")
	t.Log("\n" + r.screen.Text())
	if strings.Contains(r.screen.Text(), "!") {
		t.Error("a problem is shown where there is none")
	}
}

func TestCommands(t *testing.T) {
	r := newRig(t, nil, nil)
	r.prompt()
	r.does("help", "needs the password")
	r.does("phases", "hugepages")
}
