#include "guids.h" /* made by firmware/loader: GUIDs of the slots, path in a slot */
#include "loader.h"

/* last_node is the end of a device path but one: for a partition, what says which. */
static EFI_DEVICE_PATH *last_node(EFI_DEVICE_PATH *path)
{
	EFI_DEVICE_PATH *last = path;
	for (; !IsDevicePathEnd(path); path = NextDevicePathNode(path)) {
		if (DevicePathNodeLength(path) < (int)sizeof(EFI_DEVICE_PATH))
			return NULL;
		last = path;
	}
	return last;
}

/* partition is the last node, if it is that of a partition of a GPT. */
static HARDDRIVE_DEVICE_PATH *partition(EFI_DEVICE_PATH *path)
{
	EFI_DEVICE_PATH *node = path ? last_node(path) : NULL;
	if (!node || DevicePathType(node) != MEDIA_DEVICE_PATH || DevicePathSubType(node) != MEDIA_HARDDRIVE_DP)
		return NULL;
	HARDDRIVE_DEVICE_PATH *drive = (HARDDRIVE_DEVICE_PATH *)node;
	return drive->SignatureType == SIGNATURE_TYPE_GUID ? drive : NULL;
}

/* same_disk: the paths are equal up to their last nodes. */
static int same_disk(EFI_DEVICE_PATH *one, EFI_DEVICE_PATH *two)
{
	UINTN length = (UINT8 *)last_node(one) - (UINT8 *)one;
	return length == (UINTN)((UINT8 *)last_node(two) - (UINT8 *)two) && CompareMem(one, two, length) == 0;
}

/* find_slot is the partition with a slot's GUID on the disk of weir-boot. A
 * second disk that was made from the same image is not looked at. */
static EFI_HANDLE find_slot(EFI_HANDLE boot, char slot)
{
	static const UINT8 guids[2][16] = {SLOT_A_GUID, SLOT_B_GUID};
	EFI_DEVICE_PATH *own = DevicePathFromHandle(boot);
	EFI_HANDLE *handles = NULL, found = NULL;
	UINTN count = 0;
	if (!partition(own) || EFI_ERROR(BS->LocateHandleBuffer(ByProtocol, &BlockIoProtocol, NULL, &count, &handles)))
		return NULL;
	for (UINTN i = 0; i < count && !found; i++) {
		EFI_DEVICE_PATH *path = DevicePathFromHandle(handles[i]);
		HARDDRIVE_DEVICE_PATH *drive = partition(path);
		if (drive && same_disk(own, path) && CompareMem(drive->Signature, guids[slot - 'a'], 16) == 0)
			found = handles[i];
	}
	BS->FreePool(handles);
	return found;
}

EFI_STATUS disk_load(EFI_HANDLE self, EFI_HANDLE boot, char slot, EFI_HANDLE *loaded)
{
	EFI_HANDLE partition = find_slot(boot, slot);
	if (!partition)
		return EFI_NOT_FOUND;
	/* Firmware that starts fast has no file system on partitions that it does not
	 * boot from. One that is there already is no error worth telling. */
	BS->ConnectController(partition, NULL, NULL, TRUE);
	EFI_DEVICE_PATH *path = FileDevicePath(partition, SLOT_PATH);
	if (!path)
		return EFI_OUT_OF_RESOURCES;
	EFI_STATUS status = BS->LoadImage(FALSE, self, path, NULL, 0, loaded);
	BS->FreePool(path);
	return status;
}

int disk_read_record(EFI_HANDLE boot, struct record *r)
{
	static UINT8 copies[2][RECORD_SIZE]; /* zeros are no record */
	static const UINT64 at[2] = {RECORD_AT_0, RECORD_AT_1};
	EFI_BLOCK_IO *block = NULL;
	EFI_DISK_IO *disk = NULL;
	if (EFI_ERROR(BS->HandleProtocol(boot, &BlockIoProtocol, (VOID **)&block)) ||
	    EFI_ERROR(BS->HandleProtocol(boot, &DiskIoProtocol, (VOID **)&disk)))
		return 0;
	for (int i = 0; i < 2; i++)
		if (EFI_ERROR(disk->ReadDisk(disk, block->Media->MediaId, at[i], RECORD_SIZE, copies[i])))
			ZeroMem(copies[i], RECORD_SIZE);
	return record_newest(copies[0], copies[1], r);
}
