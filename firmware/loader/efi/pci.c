#include "loader.h"

static EFI_GUID protocol = EFI_PCI_IO_PROTOCOL_GUID;

UINT32 pci_config(EFI_PCI_IO *pci, UINT32 reg, int bytes)
{
	UINT32 value = 0;
	EFI_PCI_IO_PROTOCOL_WIDTH width = bytes == 4 ? EfiPciIoWidthUint32 : bytes == 2 ? EfiPciIoWidthUint16 : EfiPciIoWidthUint8;
	if (EFI_ERROR(pci->Pci.Read(pci, width, reg, 1, &value)))
		return 0;
	return value;
}

void pci_set_config(EFI_PCI_IO *pci, UINT32 reg, int bytes, UINT32 value)
{
	EFI_PCI_IO_PROTOCOL_WIDTH width = bytes == 4 ? EfiPciIoWidthUint32 : bytes == 2 ? EfiPciIoWidthUint16 : EfiPciIoWidthUint8;
	pci->Pci.Write(pci, width, reg, 1, &value);
}

EFI_PCI_IO *pci_find(int vendor, int device, int class)
{
	EFI_HANDLE *handles = NULL;
	UINTN count = 0;
	EFI_PCI_IO *found = NULL;
	if (EFI_ERROR(BS->LocateHandleBuffer(ByProtocol, &protocol, NULL, &count, &handles)))
		return NULL;
	for (UINTN i = 0; i < count && !found; i++) {
		EFI_PCI_IO *pci;
		if (EFI_ERROR(BS->HandleProtocol(handles[i], &protocol, (VOID **)&pci)))
			continue;
		UINT32 id = pci_config(pci, 0x00, 4);
		if ((int)(id & 0xffff) != vendor || (device >= 0 && (int)(id >> 16) != device))
			continue;
		if (class < 0 || (int)pci_config(pci, 0x0a, 2) == class)
			found = pci;
	}
	BS->FreePool(handles);
	return found;
}
