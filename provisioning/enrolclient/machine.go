package enrolclient

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/identity"
)

// Machine is a machine that enrols: what it is, and where it keeps its identity.
type Machine struct {
	Dir         string                                          `json:"-"` // of its identity
	Address     string                                          `json:"address"`
	Fingerprint string                                          `json:"authority"` // as Stranger has them
	Hardware    *api.MachineIdentity                            `json:"hardware"`
	Version     string                                          `json:"-"`
	Dial        func(context.Context, string) (net.Conn, error) `json:"-"`
}

// What the service says of a machine that has a certificate.
var (
	// ErrRevoked: an operator took the certificate back; the key is of no use any more.
	ErrRevoked = errors.New("this machine is revoked")
	// ErrForgotten: the service does not know the machine; it lost its data.
	ErrForgotten = errors.New("the provisioning service does not know this machine any more")
)

// rememberedFile has what a machine needs to know to come back without being told.
const rememberedFile = "enrolment.json"

// Recall is the machine whose identity is in a folder; fs.ErrNotExist: it was not
// enrolled.
func Recall(dir, version string) (*Machine, error) {
	b, err := os.ReadFile(filepath.Join(dir, rememberedFile))
	if err != nil {
		return nil, fmt.Errorf("read where this machine was enrolled: %w", err)
	}
	m := &Machine{Dir: dir, Version: version}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, rememberedFile), err)
	}
	return m, nil
}

// Waiting is told what a machine hears that waits for its approval: its key's
// fingerprint, and why it hears nothing.
type Waiting func(fingerprint string, err error)

// Join gives the machine as a member: as it was approved once, or once an operator
// approves it now.
func (m *Machine) Join(ctx context.Context, waiting Waiting) (*Member, error) {
	if member, err := m.Member(); err == nil {
		return member, nil
	}
	key, err := Key(m.Dir)
	if err != nil {
		return nil, err
	}
	e, err := m.stranger(key).Enrol(ctx, func(e *api.Enrolment, err error) {
		if fingerprint, ferr := Fingerprint(key); waiting != nil && ferr == nil && e.GetState() != api.EnrolState_ENROL_APPROVED {
			waiting(fingerprint, err)
		}
	})
	if err != nil {
		return nil, refused(err)
	}
	if err := m.keep(key, e); err != nil {
		return nil, err
	}
	return m.Member()
}

// Member is the machine with the certificate that it has; an error if it has none
// of this authority that is valid.
func (m *Machine) Member() (*Member, error) {
	me, err := identity.Load(Files(m.Dir))
	if err != nil {
		return nil, err
	}
	if got := me.Authority(); got != m.Fingerprint {
		return nil, fmt.Errorf("this machine was enrolled by another authority, %.16s", got)
	}
	return &Member{Address: m.Address, Me: me, Dial: m.Dial}, nil
}

// Configuration asks what is meant for a machine, and lets it join before if it
// has to.
func (m *Machine) Configuration(ctx context.Context, waiting Waiting) (*api.MachineConfiguration, error) {
	member, err := m.Join(ctx, waiting)
	if err != nil {
		return nil, err
	}
	for {
		c, err := member.Configuration(ctx)
		switch status.Code(err) {
		case codes.OK:
			return c, m.remember()
		case codes.PermissionDenied:
			if err = m.AskAgain(ctx); err != nil {
				return nil, err
			}
		case codes.FailedPrecondition:
			return nil, errors.New(status.Convert(err).Message())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, context.Cause(ctx))
		case <-time.After(pollLeast):
		}
	}
}

// AskAgain finds out why the service refuses the certificate: ErrRevoked, or
// ErrForgotten, after which the machine waits for approval as any other. No error:
// there is a new certificate.
func (m *Machine) AskAgain(ctx context.Context) error {
	key, err := Key(m.Dir)
	if err != nil {
		return err
	}
	e, err := m.stranger(key).Ask(ctx)
	switch {
	case err != nil:
		return refused(err)
	case e.State != api.EnrolState_ENROL_APPROVED:
		return ErrForgotten
	}
	return m.keep(key, e)
}

// refused is an error of Enrol, in the machine's words.
func refused(err error) error {
	switch status.Code(err) {
	case codes.PermissionDenied:
		return ErrRevoked
	case codes.InvalidArgument:
		return fmt.Errorf("the provisioning service refuses this machine's request: %s", status.Convert(err).Message())
	}
	return err
}

func (m *Machine) stranger(key crypto.Signer) *Stranger {
	return &Stranger{Address: m.Address, Fingerprint: m.Fingerprint, Key: key, Hardware: m.Hardware, Version: m.Version, Dial: m.Dial}
}

// keep writes what the service gave, and where that was.
func (m *Machine) keep(key crypto.Signer, e *api.Enrolment) error {
	if err := m.remember(); err != nil {
		return err
	}
	return Save(m.Dir, key, e)
}

// remember writes where the machine is enrolled, if that is news.
func (m *Machine) remember() error {
	path := filepath.Join(m.Dir, rememberedFile)
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write where this machine was enrolled: %w", err)
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b) {
		return nil
	}
	return write(path, b, 0o600)
}

// Hardware is what a machine says of itself, without what the service would refuse:
// makers write much into SMBIOS.
func Hardware(macs []string, serial, uuid string) *api.MachineIdentity {
	h := &api.MachineIdentity{}
	for _, s := range macs {
		if m, err := net.ParseMAC(s); err == nil && len(m) == 6 && len(h.Macs) < maxMACs {
			h.Macs = append(h.Macs, m.String())
		}
	}
	if serial = strings.TrimSpace(serial); len(serial) <= maxSerial && !strings.ContainsFunc(serial, func(c rune) bool { return c < ' ' || c > '~' }) {
		h.Serial = serial
	}
	if uuidForm.MatchString(uuid) {
		h.Uuid = uuid
	}
	return h
}

// As the service bounds it.
const (
	maxMACs   = 16
	maxSerial = 64
)

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Known reports whether the machine was approved by this authority once, be its
// certificate valid still or not.
func (m *Machine) Known() bool {
	f := Files(m.Dir)
	authority, err := AuthorityOf(f.CA)
	if err != nil || authority != m.Fingerprint {
		return false
	}
	_, err = os.Stat(f.Cert)
	return err == nil
}
