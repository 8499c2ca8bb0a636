package rig

import (
	"os"
	"time"

	"weir/firmware/refusal"
	"weir/firmware/release"
)

// Refused is a bundle that no node takes.
type Refused struct {
	Name   string
	Path   string
	Reason refusal.Reason
	Words  string // in the message
}

// Refused makes one bundle for each way to be refused. All go on from what the
// repository has published: only what the name says is wrong. Whoever made them has
// the online key, and, where it needs them, as many of the others.
func (r *Rig) Refused() (list []Refused) {
	r.t.Helper()
	const version = "9.9.9"
	plain := func(spoil func(*Rig)) func(*Rig) string {
		return func(r *Rig) string {
			r.publish(version, "", Now)
			spoil(r)
			return r.write(version)
		}
	}
	for _, c := range []struct {
		name   string
		reason refusal.Reason
		words  string
		make   func(*Rig) string
	}{
		{"unsigned", refusal.Unsigned, "targets.json of", plain(func(r *Rig) { r.forge(nil, 0, nil) })},
		{"signed by too few keys", refusal.TooFewKeys, "signed by 1 of the trusted keys, and needs 2", plain(func(r *Rig) { r.forge(nil, 1, nil) })},
		{"altered metadata", refusal.Altered, "was altered after it was signed", plain(func(r *Rig) { r.forge(nil, 2, later) })},
		{"altered target", refusal.Altered, "weir.efi of", plain(func(r *Rig) { r.spoil(version, release.Unified) })},
		{"for other machines", refusal.Incompatible, `is for "weir-other", this machine is "weir-x86_64"`, plain(func(r *Rig) { r.forge(other, 2, nil) })},
		{"expired metadata", refusal.Expired, "the timestamp metadata of", func(r *Rig) string {
			r.publish(version, "", Now.Add(-60*24*time.Hour))
			return r.write(version)
		}},
		{"below the floor", refusal.BelowFloor, "is below 9.9.9, the lowest that may be installed", func(r *Rig) string {
			r.publish("9.9.8", "", Now)
			r.publish(version, version, Now)
			return r.write("9.9.8")
		}},
		{"truncated", refusal.Truncated, "ends in the middle; copy it again", func(r *Rig) string {
			r.publish(version, "", Now)
			path := r.write(version)
			info, err := os.Stat(path)
			r.must(err)
			r.must(os.Truncate(path, info.Size()/2))
			return path
		}},
	} {
		list = append(list, Refused{c.name, c.make(r.twin()), c.reason, c.words})
	}
	return list
}
