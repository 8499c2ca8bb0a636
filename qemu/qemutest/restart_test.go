package qemutest

import (
	"bytes"
	"testing"
	"time"
)

func TestTheThirdNodeOfARunningPairComesIntoService(t *testing.T) {
	eventually(t, 3*time.Minute, func() error { return theLab.Well(within(t, time.Minute)) })
	n := theLab.Top.Nodes[2]
	routes, err := theLab.WatchRoutes()
	if err != nil {
		t.Fatal(err)
	}
	defer routes.Close()
	if err := theLab.Kill(n.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := routes.Withdrawn(within(t, time.Minute), n); err != nil {
		t.Fatal(err)
	}
	if err := theLab.Restart(n.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := routes.Announced(within(t, 2*time.Minute), n); err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := theLab.PrintBoots(within(t, time.Minute), &table, n); err != nil {
		t.Fatal(err)
	}
	t.Log(table.String())
}
