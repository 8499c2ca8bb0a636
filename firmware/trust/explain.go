package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"weir/firmware/refusal"
)

const (
	makeAnew = "make the bundle anew with weir-bundle make"
	signIt   = "have it signed (docs/upgrades.md: the ceremony) and publish it again"
)

// unread is for metadata that the source does not give.
func (l *look) unread(name string, err error) error {
	switch {
	case refusal.Of(err) != "":
		return err
	case errors.Is(err, fs.ErrNotExist):
		return &refusal.Error{Reason: refusal.Malformed, What: fmt.Sprintf("%s has no metadata/%s", l.src, name), Remedy: "give a bundle or the folder of a repository, made with weir-bundle"}
	}
	return fmt.Errorf("read %s of %s: %w", name, l.src, err)
}

func (l *look) malformed(err error) error {
	return &refusal.Error{Reason: refusal.Malformed, What: fmt.Sprintf("the metadata of %s is not what weir-bundle writes", l.src), Err: err, Remedy: makeAnew}
}

// explain makes a refusal of what go-tuf says about a role's file.
func (l *look) explain(name, role string, data []byte, err error) error {
	place := fmt.Sprintf("metadata/%s of %s", name, l.src)
	switch {
	case errors.Is(err, &metadata.ErrExpiredMetadata{}):
		return l.expired(data)
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		return l.unsigned(place, role, data, l.set.Root)
	case errors.Is(err, &metadata.ErrBadVersionNumber{}):
		return &refusal.Error{Reason: refusal.Stale, What: place + " is older than what this node has accepted before", Err: err, Remedy: "make the bundle anew from the repository as it is now: weir-bundle make --version VERSION"}
	case errors.Is(err, &metadata.ErrLengthOrHashMismatch{}):
		return &refusal.Error{Reason: refusal.Altered, What: place + " is not the file that was published", Err: err, Remedy: makeAnew}
	}
	return l.malformed(fmt.Errorf("%s: %w", name, err))
}

// explainRoot is for a new root: the trusted one and it itself have to have
// signed it.
func (l *look) explainRoot(name string, data []byte, err error) error {
	if !errors.Is(err, &metadata.ErrUnsignedMetadata{}) {
		return l.malformed(fmt.Errorf("%s: %w", name, err))
	}
	place := fmt.Sprintf("metadata/%s of %s", name, l.src)
	next, parseErr := metadata.Root().FromBytes(data)
	if parseErr != nil {
		return l.malformed(parseErr)
	}
	by := l.set.Root
	if by.VerifyDelegate(metadata.ROOT, next) == nil {
		by, place = next, place+", by its own keys,"
	}
	return l.unsigned(place, metadata.ROOT, data, by)
}

// expired finds the metadata whose time is over: the trusted root, or the file
// that was just read.
func (l *look) expired(data []byte) error {
	what, expires := "root", l.set.Root.Signed.Expires
	if !l.set.Root.Signed.IsExpired(l.Now) {
		var file struct {
			Signed struct {
				Type    string    `json:"_type"`
				Expires time.Time `json:"expires"`
			} `json:"signed"`
		}
		if err := json.Unmarshal(data, &file); err != nil {
			return l.malformed(err)
		}
		what, expires = file.Signed.Type, file.Signed.Expires
		if ts := l.set.Timestamp; ts != nil && ts.Signed.IsExpired(l.Now) {
			what, expires = "timestamp", ts.Signed.Expires
		}
	}
	remedy := map[string]string{
		metadata.ROOT:      "renew it: weir-bundle root next",
		metadata.TARGETS:   "renew it: weir-bundle targets renew",
		metadata.SNAPSHOT:  "renew it: weir-bundle publish",
		metadata.TIMESTAMP: "renew it: weir-bundle publish",
	}[what]
	return refusal.New(refusal.Expired, remedy+", and make the bundle anew; or set this machine's clock, which says "+l.Now.UTC().Format(time.RFC3339),
		"the %s metadata of %s expired at %s", what, l.src, expires.UTC().Format(time.RFC3339))
}

// unsigned tells apart the ways in which signatures do not suffice.
func (l *look) unsigned(place, role string, data []byte, by *metadata.Metadata[metadata.RootType]) error {
	valid, broken, all := count(role, data, by)
	threshold := by.Signed.Roles[role].Threshold
	switch {
	case all == 0:
		return refusal.New(refusal.Unsigned, signIt, "%s has no signature", place)
	case broken > 0 && valid < threshold:
		return refusal.New(refusal.Altered, makeAnew, "%s was altered after it was signed: %d of its signatures do not fit", place, broken)
	}
	return refusal.New(refusal.TooFewKeys, signIt, "%s is signed by %d of the trusted keys, and needs %d", place, valid, threshold)
}

// count says how many trusted keys have signed a file, how many of their
// signatures do not fit its contents, and how many signatures there are at all.
func count(role string, data []byte, by *metadata.Metadata[metadata.RootType]) (valid, broken, all int) {
	file, signatures := parse(role, data)
	there := map[string]bool{}
	for _, s := range signatures {
		there[s.KeyID] = true
	}
	for _, id := range by.Signed.Roles[role].KeyIDs {
		if !there[id] {
			continue
		}
		if SignedBy(id, role, file, by) {
			valid++
		} else {
			broken++
		}
	}
	return valid, broken, len(there)
}

// SignedBy says that the key with that identifier, of those that a root knows, has
// signed a file. It asks go-tuf on behalf of a root that trusts no other key.
func SignedBy(id, role string, file any, root *metadata.Metadata[metadata.RootType]) bool {
	single := *root
	single.Signed.Roles = maps.Clone(root.Signed.Roles)
	single.Signed.Roles[role] = &metadata.Role{KeyIDs: []string{id}, Threshold: 1}
	return single.VerifyDelegate(role, file) == nil
}

// parse reads the file of a role, which go-tuf has read before.
func parse(role string, data []byte) (file any, signatures []metadata.Signature) {
	switch role {
	case metadata.ROOT:
		if m, err := metadata.Root().FromBytes(data); err == nil {
			return m, m.Signatures
		}
	case metadata.TIMESTAMP:
		if m, err := metadata.Timestamp().FromBytes(data); err == nil {
			return m, m.Signatures
		}
	case metadata.SNAPSHOT:
		if m, err := metadata.Snapshot().FromBytes(data); err == nil {
			return m, m.Signatures
		}
	case metadata.TARGETS:
		if m, err := metadata.Targets().FromBytes(data); err == nil {
			return m, m.Signatures
		}
	}
	return nil, nil
}
