package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// hook is one place where a program is attached.
type hook struct {
	pin     string // name of the link's pin
	index   int
	ingress bool
	program *ebpf.Program
}

func (d *Data) hooks(s *Settings) []hook {
	return []hook{
		// The fabric comes last, so that no packet meets a half of the path.
		{"weir_link_inject", s.PeerIndex, false, d.objs.WeirInject},
		{"weir_link_bounce", s.PeerIndex, true, d.objs.WeirBounce},
		{"weir_link_egress", s.OwnIndex, false, d.objs.WeirEgress},
		{"weir_link_ingress", s.FabricIndex, true, d.objs.WeirIngress},
	}
}

// Attach puts the programs in their places, or exchanges those of an earlier
// agent in place, without a gap. Kernels before 6.6 have no tcx; there the
// programs are tc filters, which stay by themselves.
func (d *Data) Attach(s *Settings, pinDir string) error {
	for _, h := range d.hooks(s) {
		err := h.attachLink(pinDir)
		if errors.Is(err, link.ErrNotSupported) || errors.Is(err, ebpf.ErrNotSupported) {
			err = h.attachFilter()
		}
		if err != nil {
			return fmt.Errorf("attach %s to interface %d: %w", h.pin, h.index, err)
		}
	}
	return nil
}

func (h *hook) attachLink(pinDir string) error {
	path := filepath.Join(pinDir, h.pin)
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		defer l.Close()
		if h.owns(l) && l.Update(h.program) == nil {
			return nil
		}
		// It belonged to an interface that is gone.
		if err := l.Unpin(); err != nil {
			return fmt.Errorf("remove the old link: %w", err)
		}
	}
	attach := ebpf.AttachTCXEgress
	if h.ingress {
		attach = ebpf.AttachTCXIngress
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: h.index, Program: h.program, Attach: attach, Anchor: link.Head()})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin the link: %w", err)
	}
	return nil
}

func (h *hook) owns(l link.Link) bool {
	info, err := l.Info()
	return err == nil && info.TCX() != nil && int(info.TCX().Ifindex) == h.index
}

// Unpin removes every pin of the module, and with them, when no agent runs,
// programs, links and maps. The directory goes too, if it is empty then.
func Unpin(pinDir string) error {
	found, err := filepath.Glob(filepath.Join(pinDir, "weir_*"))
	if err != nil {
		return fmt.Errorf("list pins: %w", err)
	}
	for _, f := range found {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove pin: %w", err)
		}
	}
	return nil
}
