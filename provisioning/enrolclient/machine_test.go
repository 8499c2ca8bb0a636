package enrolclient_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/provisioning/enrolclient"
	"weir/provisioning/rig"
	"weir/services/api"
	"weir/services/identity"
)

const mac = "52:54:00:00:00:01"

func served(t *testing.T) (*rig.Rig, *enrolclient.Machine) {
	t.Helper()
	r := rig.New(t)
	r.Serve()
	return r, &enrolclient.Machine{Dir: filepath.Join(t.TempDir(), "identity"), Address: r.Address, Version: rig.Version,
		Fingerprint: identity.AuthorityFingerprint(r.Authority.Certificate()), Hardware: enrolclient.Hardware([]string{mac}, "", "")}
}

func operator(r *rig.Rig) api.ProvisionClient {
	r.T.Helper()
	me, err := identity.Load(r.Operator())
	must(r.T, err)
	c, err := grpc.NewClient("passthrough:"+r.Address, grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Provisiond))))
	must(r.T, err)
	r.T.Cleanup(func() { c.Close() })
	return api.NewProvisionClient(c)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// joins has the machine ask, approves it by the fingerprint that it shows, and
// gives its configuration.
func joins(t *testing.T, r *rig.Rig, m *enrolclient.Machine) *api.MachineConfiguration {
	t.Helper()
	var shown atomic.Pointer[string]
	type answer struct {
		c   *api.MachineConfiguration
		err error
	}
	done := make(chan answer, 1)
	go func() {
		c, err := m.Configuration(t.Context(), func(fingerprint string, err error) {
			if err == nil {
				shown.Store(&fingerprint)
			}
		})
		done <- answer{c, err}
	}()
	rig.Until(t, "it shows its fingerprint", func() bool { return shown.Load() != nil })
	_, err := operator(r).Approve(t.Context(), &api.ApproveRequest{Machine: (*shown.Load())[:16]})
	must(t, err)
	a := <-done
	must(t, a.err)
	return a.c
}

func unasked(t *testing.T) enrolclient.Waiting {
	return func(fingerprint string, err error) { t.Errorf("it waits: %s, %v", fingerprint, err) }
}

func TestAMachineIsApprovedOnceAndComesBackByItself(t *testing.T) {
	t.Parallel()
	r, m := served(t)
	if _, err := enrolclient.Recall(m.Dir, ""); !errors.Is(err, fs.ErrNotExist) || m.Known() {
		t.Errorf("%v", err)
	}
	if c := joins(t, r, m); !strings.Contains(c.NodeYaml, "node: lb1") || !strings.Contains(c.NodeYaml, rig.Password) {
		t.Errorf("%v", c)
	}
	again, err := enrolclient.Recall(m.Dir, rig.Version)
	must(t, err)
	if again.Address != m.Address || again.Fingerprint != m.Fingerprint || again.Hardware.Macs[0] != mac || !again.Known() {
		t.Errorf("%+v", again)
	}
	if c, err := again.Configuration(t.Context(), unasked(t)); err != nil || !strings.Contains(c.NodeYaml, "node: lb1") {
		t.Errorf("%v, %v", c, err)
	}
	for _, name := range []string{"machine.key", "enrolment.json"} {
		if info, err := os.Stat(filepath.Join(m.Dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	other := *m
	other.Fingerprint = strings.Repeat("0", 64)
	if _, err := other.Member(); err == nil || other.Known() {
		t.Error("a machine of one authority is another's member")
	}
}

func TestARevokedMachineIsToldSoAndAForgottenOneIsNot(t *testing.T) {
	t.Parallel()
	r, m := served(t)
	joins(t, r, m)
	// The service loses its data: the machine is no stranger to itself.
	r.Close()
	must(t, os.RemoveAll(filepath.Join(r.Dir, "state")))
	r.Open()
	r.Serve()
	m.Address = r.Address
	if _, err := m.Configuration(t.Context(), unasked(t)); !errors.Is(err, enrolclient.ErrForgotten) {
		t.Errorf("%v", err)
	}
	_, err := operator(r).Approve(t.Context(), &api.ApproveRequest{Machine: mac})
	must(t, err)
	if c, err := m.Configuration(t.Context(), unasked(t)); err != nil || !strings.Contains(c.NodeYaml, "node: lb1") {
		t.Errorf("%v, %v", c, err)
	}
	_, err = operator(r).Revoke(t.Context(), &api.RevokeRequest{Machine: "lb1"})
	must(t, err)
	if c, err := m.Configuration(t.Context(), unasked(t)); !errors.Is(err, enrolclient.ErrRevoked) || c != nil {
		t.Errorf("%v, %v", c, err)
	}
	must(t, os.Remove(enrolclient.Files(m.Dir).Cert))
	if _, err := m.Join(t.Context(), nil); !errors.Is(err, enrolclient.ErrRevoked) {
		t.Errorf("without its certificate: %v", err)
	}
}

func TestAKeeperRenewsInTimeAndHearsOfRevocation(t *testing.T) {
	t.Parallel()
	r, m := served(t)
	joins(t, r, m)
	var calls atomic.Int64
	var later atomic.Int64 // ns
	m.Dial = func(ctx context.Context, address string) (net.Conn, error) {
		calls.Add(1)
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	k := &enrolclient.Keeper{Log: slog.New(slog.DiscardHandler), Machine: m, Every: 600 * time.Millisecond,
		Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { k.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()

	me, err := identity.Load(enrolclient.Files(m.Dir))
	must(t, err)
	first := me.Certificate().SerialNumber
	later.Store(int64(r.File.Validity) * 3 / 4)
	rig.Until(t, "the certificate is renewed", func() bool { return me.Certificate().SerialNumber.Cmp(first) != 0 })
	later.Store(0)
	rig.Until(t, "all is well", func() bool { return k.Failure() == nil })
	_, err = operator(r).Revoke(t.Context(), &api.RevokeRequest{Machine: "lb1"})
	must(t, err)
	rig.Until(t, "it hears that it is revoked", func() bool { return errors.Is(k.Failure(), enrolclient.ErrRevoked) })
	r.Close() // the service is away: what is known is not unlearnt
	before := calls.Load()
	rig.Until(t, "it calls in vain", func() bool { return calls.Load() > before+2 })
	if !errors.Is(k.Failure(), enrolclient.ErrRevoked) {
		t.Errorf("%v", k.Failure())
	}
}

func TestWhatMakersWriteIsLeftOutWhereTheServiceWouldRefuseIt(t *testing.T) {
	h := enrolclient.Hardware([]string{"", mac, "00:11"}, strings.Repeat("x", 65), "To Be Filled")
	if len(h.Macs) != 1 || h.Serial != "" || h.Uuid != "" {
		t.Errorf("%v", h)
	}
	h = enrolclient.Hardware(nil, " ABC 123 ", "4c4c4544-0033-3310-8051-b4c04f4b3132")
	if h.Serial != "ABC 123" || h.Uuid == "" {
		t.Errorf("%v", h)
	}
}
