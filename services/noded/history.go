package main

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"weir/services/api"
	"weir/services/state"
	"weir/services/version"
)

const (
	keptBoots   = 50
	keptCrashes = 40
	// noteEvery is how often the present boot is noted: what a power cut leaves
	// unknown of its length.
	noteEvery = 5 * time.Minute
	// machineKey and membershipKey are records: who this machine is, and whom it
	// last knew.
	machineKey    = "machine"
	membershipKey = "membership"
)

// How a boot ended.
const (
	endClean   = "clean"
	endUnclean = "unclean"
)

// history is what the state database knows of this machine's boots (S-102).
type history struct {
	log     *slog.Logger
	db      *state.DB
	machine *machine
	uptime  func() time.Duration

	mu         sync.Mutex
	number     uint64 // of the present boot's record
	boot       *api.BootRecord
	before     string // how the boot before it ended; empty: not known
	membership *api.Membership
}

// openHistory goes on with the record of the present boot, or begins it and
// settles how the one before has ended: only a noded that was told to stop has
// noted that.
func openHistory(log *slog.Logger, db *state.DB, m *machine, bootID string, uptime func() time.Duration) *history {
	h := &history{log: log, db: db, machine: m, uptime: uptime, membership: &api.Membership{}}
	if b, err := db.Get(membershipKey); err != nil || proto.Unmarshal(b, h.membership) != nil {
		log.Error("read the last known membership", "error", err)
		h.membership = &api.Membership{}
	}
	boots, err := db.List(state.Boots)
	if err != nil {
		log.Error("read the history of boots", "error", err)
	}
	if len(boots) > 0 {
		last, was := boots[len(boots)-1], &api.BootRecord{}
		switch {
		case proto.Unmarshal(last.Value, was) != nil: // of nobody; it goes with time
		case was.BootId == bootID:
			was.End = ""
			h.number, h.boot = last.Number, was
			if len(boots) > 1 {
				h.before = endOf(boots[len(boots)-2])
			}
			return h
		case was.End == "":
			was.End = endUnclean
			h.replace(last.Number, was)
		}
		h.before = was.End
	}
	h.boot = &api.BootRecord{BootId: bootID, Version: version.Version}
	h.fill()
	if h.number, err = db.Append(state.Boots, encoded(h.boot), keptBoots); err != nil {
		log.Warn("this boot is not in the history on the disk", "error", err)
	}
	return h
}

// endOf is how a boot of the history ended; empty: not known.
func endOf(e state.Entry) string {
	r := &api.BootRecord{}
	if proto.Unmarshal(e.Value, r) != nil {
		return ""
	}
	return r.End
}

// freshBoot is for how long the end of the boot before is of interest.
const freshBoot = time.Hour

// alarm is what an operator should know of the boot before; empty: nothing.
func (h *history) alarm() string {
	if h.before != endUnclean || h.uptime() > freshBoot {
		return ""
	}
	return "the boot before this one ended without a shutdown: the power failed, the kernel crashed, or it hung and the hardware watchdog reset the machine; " +
		"look at crashes on the console and at the power supply"
}

// milestones are those that the present boot has passed already; nil: none.
func (h *history) milestones() *api.Milestones { return h.boot.Milestones }

// encoded is a message of ours, which always can be.
func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic("noded: " + err.Error())
	}
	return b
}

func (h *history) replace(number uint64, r *api.BootRecord) {
	if err := h.db.Replace(state.Boots, number, encoded(r)); err != nil {
		h.log.Warn("note a boot", "error", err)
	}
}

// fill notes the time. The clock may have been set since it was last noted.
func (h *history) fill() {
	up := h.uptime()
	h.boot.UpSeconds, h.boot.Started = up.Seconds(), time.Now().Add(-up).UTC().Format(time.RFC3339)
}

// note notes the present boot.
func (h *history) note(m *api.Milestones) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fill()
	h.boot.Milestones = m
	h.replace(h.number, h.boot)
}

// end notes that noded was told to stop, which is how a machine that ends well ends.
func (h *history) end(m *api.Milestones) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fill()
	h.boot.Milestones, h.boot.End = m, endClean
	h.replace(h.number, h.boot)
}

// learn takes from init who the machine is, what boots, and how earlier boots crashed.
func (h *history) learn(b *api.BootStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.boot.Slot = b.Slot
	if b.Version != "" {
		h.boot.Version = b.Version
	}
	id := encoded(b.Identity)
	if old, err := h.db.Get(machineKey); len(id) > 0 && (err != nil || !bytes.Equal(old, id)) {
		if err := h.db.Put(machineKey, id); err != nil {
			h.log.Warn("note the machine's identity", "error", err)
		}
	}
	known := h.crashes()
	for _, c := range slices.Backward(b.Crashes) { // oldest first
		if slices.ContainsFunc(known, func(k *api.CrashRecord) bool { return k.Name == c.Name && k.Time == c.Time }) {
			continue
		}
		h.log.Warn("a crash is on record", "of", c.Name, "time", c.Time)
		if _, err := h.db.Append(state.Crashes, encoded(c), keptCrashes); err != nil {
			h.log.Warn("note a crash", "error", err)
		}
	}
}

// crashes are the records, newest first.
func (h *history) crashes() (out []*api.CrashRecord) {
	list, err := h.db.List(state.Crashes)
	if err != nil {
		h.log.Error("read the crash records", "error", err)
	}
	for _, e := range slices.Backward(list) {
		if c := (&api.CrashRecord{}); proto.Unmarshal(e.Value, c) == nil {
			out = append(out, c)
		}
	}
	return out
}

// members notes whom this node knows, when that has changed.
func (h *history) members(nodes []*api.NodeView) {
	now := &api.Membership{}
	for _, n := range nodes {
		now.Nodes = append(now.Nodes, &api.NodeView{Id: n.Id, Number: n.Number, Health: n.Health, Phase: n.Phase, North: n.North, South: n.South, Boot: n.Boot})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now.Time = h.membership.Time
	if proto.Equal(now, h.membership) {
		return
	}
	now.Time = time.Now().UTC().Format(time.RFC3339)
	h.membership = now
	if err := h.db.Put(membershipKey, encoded(now)); err != nil {
		h.log.Warn("note the membership", "error", err)
	}
}

// look is all of it.
func (h *history) look(id string) *api.NodeHistory {
	out := &api.NodeHistory{Id: id, Crashes: h.crashes(), Upgrades: h.upgrades()}
	boots, err := h.db.List(state.Boots)
	if err != nil {
		h.log.Error("read the history of boots", "error", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range slices.Backward(boots) {
		r := &api.BootRecord{}
		if e.Number == h.number {
			h.fill()
			r = proto.CloneOf(h.boot)
		} else if proto.Unmarshal(e.Value, r) != nil {
			continue
		}
		out.Boots = append(out.Boots, r)
	}
	if b, err := h.db.Get(machineKey); err == nil && b != nil {
		if m := (&api.Identity{}); proto.Unmarshal(b, m) == nil {
			out.Machine = m
		}
	}
	if h.membership.Time != "" {
		out.Membership = proto.CloneOf(h.membership)
	}
	return out
}

// keep keeps the history until ctx ends: at every milestone, and now and then.
func (h *history) keep(ctx context.Context, m *milestones) {
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		switch b, err := h.machine.boot(ctx); {
		case err != nil && ctx.Err() == nil:
			h.log.Warn("the history lacks what init knows", "error", err)
		case b != nil:
			h.learn(b)
		}
		h.note(m.look())
		select {
		case <-ctx.Done():
			h.end(m.look())
			return
		case <-m.passed:
		case <-tick.C:
		}
	}
}
