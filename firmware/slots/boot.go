package slots

import (
	"encoding/binary"
	"errors"

	"weir/firmware/trial"
)

// reserves checks that the FAT whose first block this is leaves the record its
// place.
func reserves(head []byte) error {
	le := binary.LittleEndian
	if head[510] != 0x55 || head[511] != 0xaa {
		return errors.New("there is no file system: write the image to the disk again")
	}
	if int(le.Uint16(head[11:]))*int(le.Uint16(head[14:])) < trial.ReservedBytes {
		return errors.New("the file system leaves no room for it: write the image to the disk again")
	}
	return nil
}
