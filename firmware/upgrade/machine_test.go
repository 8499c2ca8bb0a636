package upgrade

import (
	"context"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/u-root/u-root/pkg/efivarfs"

	"weir/firmware/bootvars"
	"weir/firmware/slots"
	"weir/firmware/trial"
	"weir/image/disk"
)

// machine is one whose power fails after so many changes of what it keeps.
type machine struct {
	t       *testing.T
	left    int // changes until the power fails; negative: it does not
	changes int

	slots  map[trial.Slot]string // version that can be started; "": nothing
	sector [trial.ReservedBytes]byte
	vars   map[string][]byte
	wiped  bool // the firmware loses its variables at every power cut

	begun uint64 // the loader's variable WeirTrial

	loaded string // what kexec would start, and the words behind its command line
}

// powerCut is what a change panics with when there is no power for it.
type powerCut struct{}

func (m *machine) change() {
	m.changes++
	if m.left == 0 {
		panic(powerCut{})
	}
	m.left--
}

// The record: a write is there when it was flushed, at the latest.

func (m *machine) ReadAt(b []byte, at int64) (int, error) { return copy(b, m.sector[at:]), nil }
func (m *machine) WriteAt(b []byte, at int64) (int, error) {
	m.change()
	return copy(m.sector[at:], b), nil
}
func (m *machine) Sync() error { return nil }

// The slots.

func (m *machine) Fits(size int64) error {
	if size > 100 {
		return slots.ErrTooSmall
	}
	return nil
}

func (m *machine) Write(_ context.Context, s trial.Slot, i slots.Image) error {
	m.change()
	m.slots[s] = ""
	text, err := io.ReadAll(i.From)
	if err != nil {
		return err
	}
	m.change()
	m.slots[s] = string(text)
	return nil
}

func (m *machine) Use(s trial.Slot, _ string, f func(path string) error) error {
	return f(m.slots[s])
}

// The firmware's variables.

func (m *machine) Get(d efivarfs.VariableDescriptor) (efivarfs.VariableAttributes, []byte, error) {
	b, ok := m.vars[d.Name+"-"+d.GUID.String()]
	if !ok {
		return 0, nil, fs.ErrNotExist
	}
	return 7, b, nil
}

func (m *machine) List() (all []efivarfs.VariableDescriptor, err error) {
	for name := range m.vars {
		d := efivarfs.VariableDescriptor{Name: name[:len(name)-37]}
		if err := d.GUID.UnmarshalText([]byte(name[len(name)-36:])); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func (m *machine) Remove(d efivarfs.VariableDescriptor) error {
	m.change()
	delete(m.vars, d.Name+"-"+d.GUID.String())
	return nil
}

func (m *machine) Set(d efivarfs.VariableDescriptor, _ efivarfs.VariableAttributes, b []byte) error {
	m.change()
	m.vars[d.Name+"-"+d.GUID.String()] = slices.Clone(b)
	return nil
}

const (
	global = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	vendor = "-8b8bd7e1-1d8a-8c59-9d3a-5d0a7c2e9b64"
)

var places = bootvars.Places{
	Boot: bootvars.Partition{Number: 1, Start: 1, Size: 1, ID: disk.GUID(disk.Boot)},
	A:    bootvars.Partition{Number: 2, Start: 2, Size: 1, ID: disk.GUID(disk.SlotA)},
	B:    bootvars.Partition{Number: 3, Start: 3, Size: 1, ID: disk.GUID(disk.SlotB)},
}

// boot is what firmware and loader make of it: the node in the slot that starts,
// whose version it gives.
func (m *machine) boot() (*Node, string) {
	delete(m.vars, "WeirBoot"+vendor)
	var tried []string
	if next := m.vars["BootNext"+global]; len(next) == 2 {
		delete(m.vars, "BootNext"+global)
		tried = append(tried, string(next))
	}
	order := string(m.vars["BootOrder"+global])
	for ; len(order) >= 2; order = order[2:] {
		tried = append(tried, order[:2])
	}
	for _, n := range tried {
		name := "Boot000" + string("0123456789"[n[0]])
		o, err := bootvars.ParseOption(m.vars[name+global])
		if err != nil {
			m.t.Fatalf("the firmware is to start %s: %v", name, err)
		}
		s := m.start(o)
		if s != trial.None {
			m.vars["BootCurrent"+global] = []byte(n)
			return m.node(s), m.slots[s]
		}
	}
	s := m.loader(trial.None)
	if s == trial.None {
		m.t.Fatalf("the machine does not boot: %v", m.slots)
	}
	return m.node(s), m.slots[s]
}

// start is what an entry starts; None: it gives up.
func (m *machine) start(o bootvars.Option) trial.Slot {
	for s, id := range map[trial.Slot]string{trial.A: places.A.ID, trial.B: places.B.ID} {
		if o.Partition.ID == id && m.slots[s] != "" {
			return s
		}
	}
	if o.Partition.ID == places.Boot.ID {
		asked := strings.TrimPrefix(strings.ReplaceAll(string(o.Data), "\x00", ""), "trial=")
		return m.loader(trial.ParseSlot(asked))
	}
	return trial.None
}

// loader is efi/main.c of the loader.
func (m *machine) loader(asked trial.Slot) trial.Slot {
	r, err := trial.Load(m)
	if asked != trial.None && err == nil && r.State == trial.Tried && r.Trial == asked && r.Nonce != m.begun {
		m.begun = r.Nonce
		m.vars["WeirTrial"+vendor] = []byte{byte(r.Nonce), 0, 0, 0, 0, 0, 0, 0}
		if m.slots[asked] != "" {
			return asked
		}
	}
	first := trial.A
	if err == nil && r.Committed == trial.B {
		first = trial.B
	}
	for _, s := range []trial.Slot{first, first.Other()} {
		if m.slots[s] != "" && (err != nil || s == first || r.Image(s).Status != trial.Incomplete) {
			return s
		}
	}
	return trial.None
}

func (m *machine) node(s trial.Slot) *Node {
	return &Node{disk: m, record: m, close: func() error { return nil }, vars: bootvars.On(m), places: places, running: s,
		now:  func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) },
		load: func(image string, _ [32]byte, words string) error { m.loaded = image + " " + words; return nil }}
}

// live runs f until it ends or the power fails, which it reports.
func (m *machine) live(f func()) (cut bool) {
	defer func() {
		if p := recover(); p != nil {
			if _, cut = p.(powerCut); !cut {
				panic(p)
			}
			if m.wiped {
				clear(m.vars)
				m.begun = 0
			}
		}
	}()
	f()
	return false
}

func newMachine(t *testing.T) *machine {
	return &machine{t: t, left: -1, slots: map[trial.Slot]string{trial.A: "1.0"}, vars: map[string][]byte{}}
}

func content(version string) slots.Image {
	return slots.Image{From: strings.NewReader(version), Size: int64(len(version))}
}

// upgrade is a whole one: it goes on, boot after boot, until the node runs what it
// should and nothing is under way. good says whether the new version proves good.
func (m *machine) upgrade(good bool) trial.Record {
	for range 20 {
		var r trial.Record
		var done bool
		cut := m.live(func() {
			n, version := m.boot()
			if want := m.slots[n.Running()]; version != want || version != "1.0" && version != "2.0" {
				m.t.Fatalf("slot %v runs %q", n.Running(), version)
			}
			var d trial.Decision
			var err error
			if r, d, err = n.AtBoot(version); err != nil {
				m.t.Fatalf("version %s in slot %v: %v", version, n.Running(), err)
			}
			switch {
			case d.Do == trial.Prove && good:
				err = n.Commit()
			case d.Do == trial.Prove:
				err = n.RollBack("it is sick")
			case r.State == trial.Committed, r.State == trial.RolledBack && !good:
				done = true
			case r.State == trial.Written, r.State == trial.RolledBack:
				err = n.Try(uint64(m.changes)+1, time.Minute)
			default:
				if err = n.Install(context.Background(), "2.0", content("2.0")); err == nil {
					err = n.Try(uint64(m.changes)+1, time.Minute)
				}
			}
			if err != nil {
				m.t.Fatalf("version %s, %v: %v", version, r.State, err)
			}
		})
		if cut {
			m.left = -1
		}
		if done {
			return r
		}
	}
	m.t.Fatal("the upgrade never ends")
	return trial.Record{}
}
