// Package release names what an update consists of: versions, files, limits
// (S-104). It is the vocabulary of who makes updates and who takes them.
package release

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"weir/firmware/refusal"
)

// Compatible is the machine that images are made for. A node takes no other.
const Compatible = "weir-x86_64"

// The files of a release.
const (
	Unified   = "weir.efi"           // what a slot holds
	Kernel    = "vmlinuz"            // for boots over the network and kexec
	Initramfs = "initramfs.cpio.zst" // likewise
	Manifest  = "manifest.json"
)

// Names are all of them. A release has each.
var Names = []string{Unified, Kernel, Initramfs, Manifest}

// MaxFile is the largest file of a release, in bytes: a slot's size.
const MaxFile = 256 << 20

// MaxReleases is how many releases a repository has at most.
const MaxReleases = 64

// maxVersion is the length of a version in bytes.
const maxVersion = 64

// File is one file of a release.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // 64 hexadecimal digits
}

// Stored is the file's name below targets/: equal contents are stored once.
func (f File) Stored() string { return f.SHA256 + "." + f.Name }

// Custom is what targets.json says of every file of a release, beside its length
// and hash.
type Custom struct {
	Compatible string `json:"compatible"`
	Version    string `json:"version"`
	// Floor is the lowest version that a node may go to once it has seen this
	// release; empty: any.
	Floor string `json:"floor,omitempty"`
}

// Release is one version of the image.
type Release struct {
	Version    string `json:"version"`
	Compatible string `json:"compatible"`
	Floor      string `json:"floor,omitempty"`
	Files      []File `json:"files"` // in the order of Names
}

// File is the one of that name.
func (r Release) File(name string) (File, bool) {
	i := slices.IndexFunc(r.Files, func(f File) bool { return f.Name == name })
	if i < 0 {
		return File{}, false
	}
	return r.Files[i], true
}

// Size is that of all files together, in bytes.
func (r Release) Size() (bytes int64) {
	for _, f := range r.Files {
		bytes += f.Size
	}
	return bytes
}

// CheckVersion accepts semantic versions with all three numbers: 1.2.3, 1.2.3-rc.1.
func CheckVersion(version string) error {
	core, _, _ := strings.Cut(version, "-")
	if len(version) > maxVersion || !semver.IsValid("v"+version) || strings.Contains(version, "+") || strings.Count(core, ".") != 2 {
		return fmt.Errorf("version %.80q: want MAJOR.MINOR.PATCH, as 1.2.3 or 1.2.3-rc.1", version)
	}
	return nil
}

// Compare is negative when version a is before b, as semver.org orders them.
func Compare(a, b string) int { return semver.Compare("v"+a, "v"+b) }

// Fits refuses what a place has no room for. Both sizes are in bytes.
func Fits(need, capacity int64, place string) error {
	if need <= capacity {
		return nil
	}
	return refusal.New(refusal.NoRoom, "use a larger disk, or install the node anew on one", "%s has room for %.1f MiB, the update needs %.1f MiB", place, mib(capacity), mib(need))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
