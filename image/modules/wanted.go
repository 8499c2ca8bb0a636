package modules

// Wanted are the kernel modules of the image without those that they depend on.
// What an LB node has no use for stays out: other file systems, sound, graphics,
// wireless, bridges, packet filters.
var Wanted = []string{
	// virtual machines
	"virtio_pci", "virtio_mmio", "virtio_net", "virtio_blk", "virtio_scsi", "virtio_rng", "virtio_console", "virtio_balloon",
	// NICs of the data path
	"ixgbe", "ixgbevf", "i40e", "iavf", "ice", "mlx5_core",
	// NICs for control traffic
	"e1000", "e1000e", "igb", "igc", "tg3",
	// what gives NICs to user space
	"vfio_pci", "vfio_iommu_type1", "uio_pci_generic",
	// the exception path
	"tun",
	// disks that can hold the state partition
	"ahci", "ata_piix", "nvme", "sd_mod", "megaraid_sas", "mpt3sas", "smartpqi", "usb_storage", "uas", "xhci_pci", "ehci_pci", "mmc_block", "sdhci_pci",
	// file systems: state, slots, and the code pages that VFAT asks for
	"ext4", "crc32c_generic", "crc32c_intel", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8",
	// keyboards at the first virtual console, and the power button
	"usbhid", "hid_generic", "button", "evdev",
	// watchdogs, firmware variables, records of crashes
	"i6300esb", "iTCO_wdt", "lpc_ich", "i2c_i801", "wdat_wdt", "hpwdt", "sp5100_tco", "ipmi_watchdog", "ipmi_si", "efivarfs", "efi_pstore", "ramoops",
}
