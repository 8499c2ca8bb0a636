package state

import (
	image "weir/image/disk"
	"weir/init/gpt"
)

// stateOnly is what a disk becomes that only keeps state.
func stateOnly(d disk) []gpt.Part {
	return []gpt.Part{{Label: Label, Type: gpt.LinuxData, ID: gpt.OwnID(d.seed)}}
}

// leastBootable is how large a disk has to be to become bootable, with 64 MiB for
// state.
const leastBootable = mib + image.BootSize + 2*image.SlotSize + 64*mib + mib

// bootable is what one becomes that the machine boots from too: as the disk image,
// with all the rest for state.
func bootable() []gpt.Part {
	return []gpt.Part{
		{Label: image.Boot, Type: gpt.EFISystem, ID: image.GUID(image.Boot), Size: image.BootSize},
		{Label: image.SlotA, Type: gpt.EFISystem, ID: image.GUID(image.SlotA), Size: image.SlotSize},
		{Label: image.SlotB, Type: gpt.EFISystem, ID: image.GUID(image.SlotB), Size: image.SlotSize},
		{Label: Label, Type: gpt.LinuxData, ID: image.GUID(image.State)},
	}
}
