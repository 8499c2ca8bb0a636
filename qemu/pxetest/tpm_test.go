package pxetest

import (
	"strings"
	"testing"

	"weir/qemu/lab"
	"weir/qemu/vm"
)

// A disk would keep a key too: this machine has none.
func TestLongAMachineWithATPMAndNoDiskNeedsOneApproval(t *testing.T) {
	l, ctx := up(t)
	l.TPMMachines()
	joins(t, l, ctx, vm.NetworkBIOS, lab.Alone)
	n := l.Top.Nodes[len(l.Top.Nodes)-1]
	if text, err := l.ConsoleText(n); err != nil || !strings.Contains(text, "the key is in its TPM") {
		t.Errorf("the console does not say where the key is: %v", err)
	}
}
