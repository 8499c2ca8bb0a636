package trust

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/firmware/refusal"
	"weir/firmware/release"
)

// Catalog is what verified metadata says.
type Catalog struct {
	Source string `json:"source"`
	// Versions of the metadata.
	Root      int64 `json:"root"`
	Timestamp int64 `json:"timestamp"`
	Targets   int64 `json:"targets"`
	// Expires is when the first of the metadata does.
	Expires time.Time `json:"expires"`
	// Floor is the lowest version that may be installed; empty: any.
	Floor string `json:"floor,omitempty"`
	// Releases, newest first.
	Releases []release.Release `json:"releases"`
}

// catalog reads the verified targets.
func (l *look) catalog() (*Catalog, error) {
	c := &Catalog{
		Source:    l.src.String(),
		Root:      l.set.Root.Signed.Version,
		Timestamp: l.set.Timestamp.Signed.Version,
		Targets:   l.set.Targets["targets"].Signed.Version,
		Floor:     l.memory.Floor,
	}
	c.Expires = slices.MinFunc([]time.Time{l.set.Root.Signed.Expires, l.set.Timestamp.Signed.Expires, l.set.Snapshot.Signed.Expires, l.set.Targets["targets"].Signed.Expires}, time.Time.Compare)
	found := map[string]*release.Release{}
	for path, t := range l.set.Targets["targets"].Signed.Targets {
		version, name, _ := strings.Cut(path, "/")
		if !slices.Contains(release.Names, name) {
			continue // of a later Weir
		}
		f := release.File{Name: name, Size: t.Length, SHA256: hex.EncodeToString(t.Hashes["sha256"])}
		custom, err := readCustom(t.Custom, version, f)
		if err != nil {
			return nil, l.malformed(fmt.Errorf("target %.100q: %w", path, err))
		}
		r := found[version]
		if r == nil {
			r = &release.Release{Version: version, Compatible: custom.Compatible, Floor: custom.Floor}
			found[version] = r
		}
		if r.Compatible != custom.Compatible || r.Floor != custom.Floor {
			return nil, l.malformed(fmt.Errorf("target %.100q: says other things about version %s than its other files", path, version))
		}
		r.Files = append(r.Files, f)
		if custom.Floor != "" && (c.Floor == "" || release.Compare(custom.Floor, c.Floor) > 0) {
			c.Floor = custom.Floor
		}
	}
	if len(found) > release.MaxReleases {
		return nil, l.malformed(fmt.Errorf("%d releases; a repository has at most %d", len(found), release.MaxReleases))
	}
	for _, r := range found {
		slices.SortFunc(r.Files, func(a, b release.File) int {
			return slices.Index(release.Names, a.Name) - slices.Index(release.Names, b.Name)
		})
		c.Releases = append(c.Releases, *r)
	}
	slices.SortFunc(c.Releases, func(a, b release.Release) int { return release.Compare(b.Version, a.Version) })
	return c, nil
}

// readCustom checks what is said about a file. It is signed, but a mistake of the
// signers must not become one of the node.
func readCustom(text *json.RawMessage, version string, f release.File) (c release.Custom, err error) {
	if text == nil {
		return c, fmt.Errorf("does not say what it is compatible with")
	}
	d := json.NewDecoder(bytes.NewReader(*text))
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if err := release.CheckVersion(version); err != nil {
		return c, err
	}
	if c.Floor != "" {
		if err := release.CheckVersion(c.Floor); err != nil {
			return c, fmt.Errorf("floor: %w", err)
		}
	}
	switch {
	case c.Version != version:
		return c, fmt.Errorf("says that it is version %.80q", c.Version)
	case f.Size <= 0 || f.Size > release.MaxFile:
		return c, fmt.Errorf("has %d bytes; a file of a release has at most %d", f.Size, release.MaxFile)
	case len(f.SHA256) != 64:
		return c, fmt.Errorf("has no SHA-256")
	}
	return c, nil
}

// Select gives the release of a version, or refuses it. Without a version it is
// the newest that the source holds; a bundle holds one.
func (c *Catalog) Select(src Source, version, compatible string) (release.Release, error) {
	r, err := c.find(src, version)
	if err != nil {
		return r, err
	}
	switch {
	case r.Compatible != compatible:
		return r, refusal.New(refusal.Incompatible, "take the update that was made for this machine", "version %s of %s is for %.80q, this machine is %q", r.Version, c.Source, r.Compatible, compatible)
	case c.Floor != "" && release.Compare(r.Version, c.Floor) < 0:
		return r, refusal.New(refusal.BelowFloor, "take version "+c.Floor+" or a newer one", "version %s of %s is below %s, the lowest that may be installed", r.Version, c.Source, c.Floor)
	}
	for _, name := range release.Names {
		f, found := r.File(name)
		if !found {
			return r, refusal.New(refusal.Missing, signIt, "version %s of %s has no %s", r.Version, c.Source, name)
		}
		if p, partial := src.(Partial); partial && !p.Holds(f.Stored()) {
			return r, refusal.New(refusal.Missing, "make a bundle of it: weir-bundle make --version "+r.Version, "%s does not hold %s of version %s", c.Source, name, r.Version)
		}
	}
	return r, nil
}

// find does not look at what is in the release.
func (c *Catalog) find(src Source, version string) (release.Release, error) {
	var names []string
	for _, r := range c.Releases {
		p, partial := src.(Partial)
		f, complete := r.File(release.Unified)
		if version == r.Version || version == "" && (!partial || complete && p.Holds(f.Stored())) {
			return r, nil
		}
		names = append(names, r.Version)
	}
	if version == "" {
		version = "any"
	}
	return release.Release{}, refusal.New(refusal.Missing, "give one of its versions ("+strings.Join(names, ", ")+"), or publish the one you want", "%s has no release %.80q", c.Source, version)
}
