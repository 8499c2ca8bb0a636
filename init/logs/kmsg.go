package logs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kernel is the source of the kernel's own log.
const Kernel = "kernel"

// FollowKernel copies the kernel's log, from its beginning on, until ctx ends.
// The file is /dev/kmsg: every read returns one record.
func (s *Store) FollowKernel(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read the kernel's log: %w", err)
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })()
	to := s.Source(Kernel)
	for buf := make([]byte, 8192); ; { // CONSOLE_EXT_LOG_MAX
		n, err := f.Read(buf)
		switch {
		case errors.Is(err, syscall.EPIPE): // records were overwritten before they were read
			to.add(Line{At: s.now(), Text: "[messages came too fast and are missing here]"})
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("read the kernel's log: %w", err)
		default:
			if l, ok := parseKernel(string(buf[:n])); ok {
				to.add(l)
			}
		}
	}
}

// parseKernel reads one record (Documentation/ABI/testing/dev-kmsg):
//
//	level,sequence,microseconds,flags[,...];text\n
//	 KEY=value\n ...
func parseKernel(record string) (Line, bool) {
	head, text, ok := strings.Cut(record, ";")
	fields := strings.Split(head, ",")
	if !ok || len(fields) < 4 {
		return Line{}, false
	}
	us, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return Line{}, false
	}
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > MaxLine {
		text = text[:MaxLine]
	}
	return Line{At: time.Duration(us) * time.Microsecond, Text: clean(text)}, true
}
