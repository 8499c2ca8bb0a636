// Package bootvars reads and writes the firmware's boot variables (UEFI 2.10,
// section 3.3): an entry for each slot, the order in which they are started, and
// the entry that is started once (S-104).
package bootvars

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Option is a boot entry, the content of a variable Boot#### (section 3.1.3):
// attributes, 4 bytes; length of the device paths, 2; description in UTF-16 with a
// zero behind it; device paths; data for the program.
type Option struct {
	Attributes  uint32
	Description string
	// Partition and File say what is started. An entry of another kind has an empty
	// Partition.ID, and Path tells all of it.
	Partition Partition
	File      string // "EFI/weir/weir.efi"
	Path      []byte // the device paths as they are; made by Bytes if nil
	Data      []byte
}

// Partition is one of a GPT.
type Partition struct {
	Number      int
	Start, Size int64  // in sectors of the disk
	ID          string // GUID in upper case
}

// Active entries are started by the boot order.
const Active = 1

// Types of device path nodes (section 10.3).
const (
	mediaType               = 0x04
	hardDrive, filePath     = 0x01, 0x04
	endType, endAll         = 0x7f, 0xff
	hardDriveLength         = 42
	formatGPT, signatureID  = 0x02, 0x02
	maxOption, maxPathNodes = 64 << 10, 64
)

var errOption = errors.New("damaged boot entry")

// ParseOption reads an entry. One whose device path is not of the form partition,
// file, end is no error.
func ParseOption(b []byte) (Option, error) {
	le := binary.LittleEndian
	if len(b) < 6 || len(b) > maxOption {
		return Option{}, fmt.Errorf("%w: %d bytes", errOption, len(b))
	}
	o := Option{Attributes: le.Uint32(b)}
	length := int(le.Uint16(b[4:]))
	description, rest, ok := cutText(b[6:])
	if !ok || length > len(rest) {
		return Option{}, fmt.Errorf("%w: its parts are longer than it", errOption)
	}
	o.Description = description
	o.Path, o.Data = slices.Clone(rest[:length]), slices.Clone(rest[length:])
	if err := o.parsePath(); err != nil {
		return Option{}, err
	}
	return o, nil
}

// cutText reads UTF-16 up to its zero.
func cutText(b []byte) (text string, rest []byte, ok bool) {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		u := binary.LittleEndian.Uint16(b)
		if u == 0 {
			return string(utf16.Decode(units)), b[2:], true
		}
		units = append(units, u)
	}
	return "", nil, false
}

// parsePath fills Partition and File if the path is one to a file of a partition.
func (o *Option) parsePath() error {
	le := binary.LittleEndian
	b := o.Path
	var partition Partition
	var file string
	for i := 0; ; i++ {
		if len(b) < 4 || i > maxPathNodes {
			return fmt.Errorf("%w: its device path has no end", errOption)
		}
		length := int(le.Uint16(b[2:]))
		if length < 4 || length > len(b) {
			return fmt.Errorf("%w: a node of its device path has %d bytes", errOption, length)
		}
		node := b[4:length]
		switch {
		case b[0] == endType && b[1] == endAll:
			if file != "" && partition.ID != "" && i == 2 {
				o.Partition, o.File = partition, file
			}
			return nil
		case i == 0 && b[0] == mediaType && b[1] == hardDrive && length == hardDriveLength && node[36] == formatGPT && node[37] == signatureID:
			partition = Partition{Number: int(le.Uint32(node)), Start: int64(le.Uint64(node[4:])), Size: int64(le.Uint64(node[12:])), ID: guidText(node[20:36])}
		case i == 1 && b[0] == mediaType && b[1] == filePath:
			text, _, _ := cutText(node)
			file = strings.TrimPrefix(strings.ReplaceAll(text, `\`, "/"), "/")
		}
		b = b[length:]
	}
}

// Bytes is the entry as the firmware wants it.
func (o Option) Bytes() ([]byte, error) {
	path := o.Path
	if path == nil {
		var err error
		if path, err = o.path(); err != nil {
			return nil, err
		}
	}
	le := binary.LittleEndian
	b := le.AppendUint32(nil, o.Attributes)
	b = le.AppendUint16(b, uint16(len(path)))
	b = append(b, text16(o.Description)...)
	return append(append(b, path...), o.Data...), nil
}

func (o Option) path() ([]byte, error) {
	id, err := guidBytes(o.Partition.ID)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	b := []byte{mediaType, hardDrive, hardDriveLength, 0}
	b = le.AppendUint32(b, uint32(o.Partition.Number))
	b = le.AppendUint64(b, uint64(o.Partition.Start))
	b = le.AppendUint64(b, uint64(o.Partition.Size))
	b = append(append(b, id...), formatGPT, signatureID)
	file := text16(`\` + strings.ReplaceAll(o.File, "/", `\`))
	b = append(b, mediaType, filePath)
	b = le.AppendUint16(b, uint16(4+len(file)))
	return append(append(b, file...), endType, endAll, 4, 0), nil
}

// text16 is UTF-16 with a zero behind it.
func text16(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return append(b, 0, 0)
}

// guidText and guidBytes: the first three fields are little-endian (appendix A).
func guidText(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}

func guidBytes(text string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 {
		return nil, fmt.Errorf("%q is no GUID", text)
	}
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return b, nil
}
