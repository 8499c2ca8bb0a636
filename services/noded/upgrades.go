package main

import (
	"google.golang.org/protobuf/proto"

	"weir/services/api"
)

const (
	// upgradesKey is a record: how upgrades ended, newest first. It is no list with
	// a bucket of its own, so that the version of before, to which a node may go
	// back, reads the same database.
	upgradesKey  = "upgrades"
	keptUpgrades = 50
)

// Ends of an upgrade.
const (
	upgradeCommitted  = "committed"
	upgradeRolledBack = "rolled back"
	upgradeAbandoned  = "abandoned"
)

// upgradeEnd is what a status tells of an upgrade that has ended; nil: none has.
func upgradeEnd(s *api.UpdateStatus) *api.UpgradeRecord {
	r := &api.UpgradeRecord{Time: s.Changed, Version: s.Target, Slot: s.TargetSlot, Reason: s.Reason}
	switch {
	case s.State == "committed":
		r.End = upgradeCommitted
	case s.State == "rolled back":
		r.End = upgradeRolledBack
	case s.State == "idle" && s.Reason != "":
		r.End = upgradeAbandoned
	default:
		return nil
	}
	return r
}

// upgrades are the ends of upgrades, newest first.
func (h *history) upgrades() []*api.UpgradeRecord {
	kept := &api.NodeHistory{}
	b, err := h.db.Get(upgradesKey)
	if err == nil {
		err = proto.Unmarshal(b, kept)
	}
	if err != nil {
		h.log.Error("read the history of upgrades", "error", err)
		return nil
	}
	return kept.Upgrades
}

// upgrade notes the end of an upgrade, once: versions on both sides of a restart
// tell of the same one.
func (h *history) upgrade(s *api.UpdateStatus) {
	end := upgradeEnd(s)
	if end == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.upgrades()
	if len(known) > 0 && proto.Equal(known[0], end) {
		return
	}
	all := append([]*api.UpgradeRecord{end}, known[:min(len(known), keptUpgrades-1)]...)
	if err := h.db.Put(upgradesKey, encoded(&api.NodeHistory{Upgrades: all})); err != nil {
		h.log.Warn("note the end of an upgrade", "error", err)
	}
}
