package modules

import (
	"slices"
	"strings"
	"testing"
)

const table = `# Aliases extracted from modules themselves.
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias pci:v*d*sv*sd*bc01sc06i01* ahci
alias virtio:d00000001v* virtio_net
alias fs-ext4 ext4
alias acpi*:PNP0C0[AB]:* battery
`

func TestAModuleIsFoundByWhatADeviceSaysOfItself(t *testing.T) {
	a, err := ReadAliases(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00": {"virtio_pci"},
		"pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01": {"ahci"},
		"virtio:d00000001v00001AF4":                             {"virtio_net"},
		"fs-ext4":                                               {"ext4"},
		"acpi:PNP0C0A:":                                         {"battery"},
		"acpi:PNP0C0C:":                                         nil,
		"":                                                      nil,
	} {
		if got := a.Modules(name); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
