package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// Settings are fixed when the programs are loaded.
type Settings struct {
	Server         netip.Addr // outer source of what we send, outer destination of what we take; IPv4
	FabricIndex    int        // interface towards the LB nodes
	OwnIndex       int        // weir0
	PeerIndex      int        // weir1
	OwnMAC         [6]byte    // of weir0
	MaxFlows       int        // bound of the flow map; that of an existing pinned map stays
	StraysPerSlice int        // reports of strays per 16.8 ms and CPU; 0: no bound
	BounceIPv6     bool       // see NeedsBounce
	VirtualClock   bool       // time comes from SetClock, for the simulation
}

// Data is the loaded data path.
type Data struct {
	objs  weirObjects
	flows *Flows
}

// Load loads maps and programs. With a directory of a bpf file system the maps
// are pinned there, or, when an earlier agent did so, taken over with all
// flows (S-26); with "" they end with Close.
func Load(s *Settings, pinDir string) (*Data, error) {
	spec, err := loadWeir()
	if err != nil {
		return nil, fmt.Errorf("read the embedded eBPF object: %w", err)
	}
	if err := apply(spec, s); err != nil {
		return nil, err
	}
	opts := ebpf.CollectionOptions{}
	if pinDir == "" {
		for _, m := range spec.Maps {
			m.Pinning = ebpf.PinNone
		}
	} else {
		opts.Maps.PinPath = pinDir
		if n, ok := pinnedSize(pinDir); ok {
			spec.Maps[weirMapWeirFlows].MaxEntries = n
		}
	}
	d := &Data{}
	if err := spec.LoadAndAssign(&d.objs, &opts); err != nil {
		return nil, loadError(err)
	}
	d.flows = &Flows{m: d.objs.WeirFlows}
	return d, nil
}

func apply(spec *ebpf.CollectionSpec, s *Settings) error {
	if s.MaxFlows > 0 {
		spec.Maps[weirMapWeirFlows].MaxEntries = uint32(s.MaxFlows)
	}
	if !s.Server.Is4() {
		return fmt.Errorf("server address %s: the fabric is IPv4", s.Server)
	}
	a := s.Server.As4()
	for name, v := range map[string]any{
		weirVarServerAddress:  binary.NativeEndian.Uint32(a[:]),
		weirVarFabricIfindex:  uint32(s.FabricIndex),
		weirVarOwnIfindex:     uint32(s.OwnIndex),
		weirVarPeerIfindex:    uint32(s.PeerIndex),
		weirVarOwnMac:         s.OwnMAC,
		weirVarBounceIpv6:     s.BounceIPv6,
		weirVarVirtualClock:   s.VirtualClock,
		weirVarStraysPerSlice: uint32(s.StraysPerSlice),
	} {
		if err := spec.Variables[name].Set(v); err != nil {
			return fmt.Errorf("set %s of the eBPF programs: %w", name, err)
		}
	}
	return nil
}

// pinnedSize is the bound of the flow map that is there already.
func pinnedSize(pinDir string) (uint32, bool) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(pinDir, weirMapWeirFlows), nil)
	if err != nil {
		return 0, false
	}
	defer m.Close()
	return m.MaxEntries(), true
}

// Compatible tells whether the maps that an earlier agent pinned in a
// directory, if any, can be taken over by this one.
func Compatible(pinDir string) error {
	spec, err := loadWeir()
	if err != nil {
		return fmt.Errorf("read the embedded eBPF object: %w", err)
	}
	for name, want := range spec.Maps {
		m, err := ebpf.LoadPinnedMap(filepath.Join(pinDir, name), nil)
		if err != nil {
			continue // it will be made
		}
		if name == weirMapWeirFlows {
			want.MaxEntries = m.MaxEntries() // that of the pinned map stays
		}
		err = want.Compatible(m)
		m.Close()
		if err != nil {
			return loadError(err)
		}
	}
	return nil
}

func loadError(err error) error {
	var v *ebpf.VerifierError
	switch {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return fmt.Errorf("the pinned maps are of another version; drain this server, then run lbmodule uninstall: %w", err)
	case errors.As(err, &v):
		return fmt.Errorf("this kernel refuses the eBPF programs; 5.15 or newer is needed: %w", err)
	}
	return fmt.Errorf("load the eBPF programs: %w", err)
}

// Close lets go of maps and programs. What is pinned or attached stays.
func (d *Data) Close() error { return d.objs.Close() }

// Flows is the flow map.
func (d *Data) Flows() *Flows { return d.flows }
