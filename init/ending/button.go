package ending

import (
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
)

// PowerButton makes the machine's power button, and the soft power-off of its
// management controller, which presses it, an orderly end. Root is empty on a
// machine and a folder in a test.
func (e *Ending) PowerButton(root string) {
	files, _ := filepath.Glob(filepath.Join(root, "/dev/input/event*"))
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			continue // it was pulled out
		}
		e.Go(func() {
			defer f.Close()
			if pressed(f) {
				e.Ask(PowerOff, "the power button was pressed")
			}
		})
	}
}

// pressed reads events until the power key goes down (true) or the device is gone.
//
//	struct input_event: 16 bytes of time, u16 type, u16 code, s32 value
func pressed(events io.Reader) bool {
	const (
		evKey    = 1
		keyPower = 116
	)
	for buf := make([]byte, 24); ; {
		if _, err := io.ReadFull(events, buf); err != nil {
			return false
		}
		kind, code, value := binary.NativeEndian.Uint16(buf[16:]), binary.NativeEndian.Uint16(buf[18:]), binary.NativeEndian.Uint32(buf[20:])
		if kind == evKey && code == keyPower && value == 1 {
			return true
		}
	}
}
