package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"weir/init/gpt"
)

// divide gives a marked disk its table. At a power cut the disk is either still
// marked, see marked, or divided with an empty state partition, the last one.
func (s *System) divide(d disk) (candidate, error) {
	parts := stateOnly(d)
	if s.Install && d.size >= leastBootable {
		parts = bootable()
	}
	all, pieces, ok := gpt.Divide(d.size, d.sector, d.seed, parts)
	if !ok {
		return candidate{}, fmt.Errorf("%s is too small", s.device(d.name))
	}
	part := all[len(all)-1]
	begin := gpt.Piece{At: part.Start, Data: make([]byte, mib)}
	last := len(pieces) - 1
	for _, step := range [][]gpt.Piece{{begin}, pieces[:last], pieces[last:]} {
		if err := write(s.path(d.name), step...); err != nil {
			return candidate{}, fmt.Errorf("write a partition table: %w", err)
		}
	}
	if err := s.Reread(s.path(d.name)); err != nil {
		return candidate{}, fmt.Errorf("make the kernel read the partition table of %s: %w", s.device(d.name), err)
	}
	for deadline := time.Now().Add(s.Settle); ; time.Sleep(s.Settle / 60) {
		if name := s.partition(d.name, part.Number, part.Start); name != "" {
			if _, err := os.Stat(s.path(name)); err == nil {
				return candidate{disk: d, device: s.device(name), content: empty}, nil
			}
		}
		if time.Now().After(deadline) {
			return candidate{}, fmt.Errorf("the kernel does not show the new partition of %s", s.device(d.name))
		}
	}
}

// format makes the file system. The partition says so while it lasts.
func (s *System) format(ctx context.Context, device string) error {
	if err := write(s.Root+device, gpt.Piece{Data: []byte(formatting)}); err != nil {
		return fmt.Errorf("format %s: %w", device, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	out, code, err := s.Run(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-L", Label, "-E", "nodiscard,lazy_itable_init=1", device)
	if err != nil {
		return fmt.Errorf("format %s: %w", device, err)
	}
	if code != 0 {
		return fmt.Errorf("format %s: mke2fs ends with %d: %s", device, code, lastLine(out))
	}
	if err := write(s.Root+device, gpt.Piece{Data: make([]byte, len(formatting))}); err != nil {
		return fmt.Errorf("format %s: %w", device, err)
	}
	return nil
}

// write puts the pieces on the disk itself, not only into the page cache.
func write(path string, pieces ...gpt.Piece) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if _, err = f.WriteAt(p.Data, p.At); err != nil {
			break
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}
