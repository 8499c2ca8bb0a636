package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/init/phase"
	"weir/services/wholefile"
)

const markRemedy = `attach a disk that begins with the line "WEIR STATE DISK" and is otherwise zeros in its first and last MiB, ` +
	`or label a GPT partition with 1 MiB of zeros at its begin weir-state; then reboot`

// Open finds the state partition, formats it if it is marked for that, checks
// and mounts it on Dir.
func (s *System) Open(ctx context.Context) phase.Outcome {
	f := s.await(ctx)
	c, ok := f.choose()
	if !ok && len(f.marked) > 0 {
		var err error
		if c, err = s.divide(f.marked[0]); err != nil {
			return s.inMemory(s.device(f.marked[0].name), err, "replace the disk, or look at the kernel's log")
		}
		ok = true
	}
	if !ok {
		return s.inMemory("", f.absent(), markRemedy)
	}
	return s.use(ctx, c, f.notes(c))
}

// absent says why there is no state partition.
func (f *found) absent() error {
	if len(f.foreign) > 0 {
		return errors.New(strings.Join(f.foreign, "; "))
	}
	if len(f.disks) == 0 {
		return errors.New("there is no disk")
	}
	var names []string
	for _, d := range f.disks {
		names = append(names, fmt.Sprintf("%s (%d MiB)", d.name, d.size/mib))
	}
	return fmt.Errorf("no disk has a partition labelled %s: there are %s", Label, strings.Join(names, ", "))
}

// notes tells of other partitions with the label: one of them is a mistake.
func (f *found) notes(chosen candidate) []string {
	notes := append([]string(nil), f.foreign...)
	for _, u := range f.usable {
		if u.device != chosen.device {
			notes = append(notes, fmt.Sprintf("%s is labelled %s too and is not used", u.device, Label))
		}
	}
	return notes
}

// probeLimit is how long controllers of disks may take.
const probeLimit = 2 * time.Minute

// await searches until there is a state partition or disks have had their time
// to appear. One that is yet to be formatted is taken only if no formatted one
// comes a little later.
func (s *System) await(ctx context.Context) found {
	probed := s.Probed == nil
	deadline := time.Now().Add(s.Settle)
	if !probed {
		deadline = time.Now().Add(probeLimit)
	}
	for {
		f := s.search()
		if c, ok := f.choose(); ok && c.content == ext4 {
			return f
		} else if probed && (ok || len(f.marked) > 0) {
			deadline = earlier(deadline, time.Now().Add(s.Settle/6))
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return f
		}
		select {
		case <-s.Probed: // never, if it is nil
			if !probed {
				probed, deadline = true, time.Now().Add(s.Settle)
			}
			time.Sleep(s.Settle / 60)
		case <-time.After(s.Settle / 60):
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// use formats, checks, mounts and tries to write.
func (s *System) use(ctx context.Context, c candidate, notes []string) phase.Outcome {
	if c.disk.readOnly {
		return s.fromDisk(c.device, errors.New("the disk is read-only"), "make the disk writable, then reboot")
	}
	if c.content != ext4 {
		if err := s.format(ctx, c.device); err != nil {
			return s.inMemory(c.device, err, "replace the disk, or look at the kernel's log")
		}
		notes = append([]string{"formatted " + c.device}, notes...)
	}
	repaired, err := s.check(ctx, c.device)
	if err == nil {
		err = s.mount(c.device)
	}
	if err != nil {
		return s.fromDisk(c.device, err, "replace the disk; or, to give up what is on it, zero the first MiB of "+c.device+" and reboot")
	}
	if err := s.tryToWrite(); err != nil {
		s.Unmount(s.Root+Dir, 0)
		remedy := "replace the disk, or look at the kernel's log"
		if errors.Is(err, unix.ENOSPC) {
			remedy = "delete what does not belong there: mount it from the console's shell; or use a larger disk"
			err = fmt.Errorf("the state partition is full: %w", err)
		}
		return s.fromDisk(c.device, err, remedy)
	}
	s.set(Status{Device: c.device, Mode: ReadWrite})
	switch {
	case repaired != "":
		return phase.Degrade("if this happens again, replace the disk", "%s", strings.Join(append([]string{repaired}, notes...), "; "))
	case len(notes) > 0 && c.content == ext4:
		return phase.Degrade("remove the label or the disk that does not belong to this node", "%s", strings.Join(notes, "; "))
	}
	return phase.Detail("%s", strings.Join(append(notes, c.device), "; "))
}

// check repairs what a power cut leaves (e2fsck -p), and what more there is, as
// nobody may be there to ask (-y). Repaired tells of the latter.
func (s *System) check(ctx context.Context, device string) (repaired string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	out, code, err := s.Run(ctx, "e2fsck", "-p", device)
	if err != nil {
		return "", fmt.Errorf("check %s: %w", device, err)
	}
	if code&^(fsckCorrected|fsckReboot) == 0 {
		return "", nil
	}
	out, code, err = s.Run(ctx, "e2fsck", "-y", device)
	if err != nil {
		return "", fmt.Errorf("repair %s: %w", device, err)
	}
	if code&^(fsckCorrected|fsckReboot) != 0 {
		return "", fmt.Errorf("%s cannot be repaired: %s", device, lastLine(out))
	}
	return device + " was damaged and was repaired; what had no name any more is in lost+found", nil
}

// Exit codes of e2fsck(8), as bits.
const (
	fsckCorrected = 1
	fsckReboot    = 2
)

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

func (s *System) mount(device string) error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME
	if err := s.Mount(device, s.Root+Dir, "ext4", flags, "errors=remount-ro"); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	return nil
}

// tryToWrite finds a disk that takes nothing before anybody relies on it. What
// power cuts left of earlier attempts goes first.
func (s *System) tryToWrite() error {
	probe := filepath.Join(s.Root+Dir, "boot", "probe")
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(probe), ".*"))
	for _, path := range left {
		_ = os.Remove(path)
	}
	err := wholefile.Replace(probe, make([]byte, 256<<10))
	return errors.Join(err, remove(probe))
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
