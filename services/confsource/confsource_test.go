package confsource

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/services/api"
	"weir/services/config"
	"weir/services/configd/rig"
	"weir/services/identity"
	"weir/services/state"
	"weir/services/wholefile"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// machine is a node with a state directory of its own.
type machine struct {
	t   *testing.T
	dir string
	o   Options
	db  *state.DB
	*Source
}

func newMachine(t *testing.T, r *rig.Rig, id string) *machine {
	t.Helper()
	f := r.Issue(identity.Node, id)
	m := &machine{t: t, dir: t.TempDir()}
	m.o = Options{Role: identity.Node, ID: id, Version: "1.2.3", StateDir: m.dir,
		Service: config.ConfigService{Addresses: []netip.AddrPort{r.Address}, CA: f.CA, Cert: f.Cert, Key: f.Key}}
	t.Cleanup(m.stop)
	return m
}

func (m *machine) start(ctx context.Context) error {
	var err error
	if m.db, err = state.Open(m.dir, quiet()); err != nil {
		return err
	}
	m.o.State = m.db
	if m.Source, err = Open(ctx, quiet(), m.o); err != nil {
		m.db.Close()
	}
	return err
}

func (m *machine) mustStart() *Config {
	m.t.Helper()
	if err := m.start(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	return m.Current()
}

func (m *machine) stop() {
	if m.Source != nil {
		m.Close()
		m.db.Close()
		m.Source = nil
	}
}

// next is the next change.
func (m *machine) next() *Config {
	m.t.Helper()
	select {
	case c := <-m.Changes():
		return c
	case <-time.After(10 * time.Second):
		m.t.Fatal("no change within ten seconds")
		return nil
	}
}

func registered(t *testing.T, r *rig.Rig, id string) *api.Registered {
	t.Helper()
	list, err := r.Operator().Registrations(t.Context(), &api.RegistrationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list.List {
		if one.Id == id {
			return one
		}
	}
	return nil
}

func TestChangesAreToldAndWhatIsInForceIsReported(t *testing.T) {
	r := rig.New(t)
	r.Start()
	first := r.Apply(rig.Cluster(3, 1))
	m := newMachine(t, r, "lb1")
	c := m.mustStart()
	if c.Revision != first || len(c.Nodes) != 3 || len(c.Keys.Control) != 1 {
		t.Errorf("revision %d, %d nodes", c.Revision, len(c.Nodes))
	}
	m.InForce(c, nil)
	rig.Until(t, "it is reported", func() bool {
		x := registered(t, r, "lb1")
		return x.Current && x.Said.GetRevision() == first && x.Said.Version == "1.2.3" && x.Said.Error == ""
	})
	second := r.Apply(rig.Cluster(4, 1))
	if c = m.next(); c.Revision != second || len(c.Nodes) != 4 {
		t.Errorf("revision %d, %d nodes", c.Revision, len(c.Nodes))
	}
	m.InForce(c, os.ErrInvalid)
	rig.Until(t, "the reason is reported", func() bool {
		x := registered(t, r, "lb1")
		return !x.Current && x.Said.GetRevision() == first && x.Said.Error == os.ErrInvalid.Error()
	})
}

func TestWhoIsNotApprovedWaits(t *testing.T) {
	r := rig.New(t)
	r.Start()
	r.Apply(rig.Cluster(3, 1))
	m := newMachine(t, r, "lb4")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := m.start(ctx); err == nil || !strings.Contains(err.Error(), `not in the cluster file`) {
		t.Fatalf("%v", err)
	}
	if x := registered(t, r, "lb4"); x == nil || x.Approved {
		t.Errorf("%v", x)
	}
	done := make(chan error, 1)
	go func() { done <- m.start(t.Context()) }()
	r.Apply(rig.Cluster(4, 1))
	if err := <-done; err != nil || m.Current().Member("lb4") == nil {
		t.Error(err)
	}
}

func TestTheLastGoodConfigurationServesWhileTheServiceIsAway(t *testing.T) {
	r := rig.New(t)
	r.Start()
	good := r.Apply(rig.Cluster(3, 1))
	m := newMachine(t, r, "lb1")
	m.InForce(m.mustStart(), nil)
	r.Stop()
	rig.Until(t, "it notices", func() bool { return m.Away() != nil })
	if m.Current().Revision != good {
		t.Error("it changed something")
	}
	for _, lose := range []string{"", state.FileName, lastGoodFile} { // either place is enough
		m.stop()
		if lose != "" {
			if err := os.Remove(filepath.Join(m.dir, lose)); err != nil {
				t.Fatal(err)
			}
		}
		c := m.mustStart()
		if c.Revision != good || len(c.Nodes) != 3 || c.Keys.Base == (config.Key{}) {
			t.Errorf("without %q: revision %d", lose, c.Revision)
		}
		m.InForce(c, nil)
	}
	r.Start()
	if c := m.next(); c.Revision != good || m.Away() != nil {
		t.Errorf("after its return: revision %d, %v", c.Revision, m.Away())
	}
	newer := r.Apply(rig.Cluster(4, 1))
	if c := m.next(); c.Revision != newer {
		t.Errorf("revision %d", c.Revision)
	}
}

func TestOnlyWhatWasInForceIsTheLastGoodOne(t *testing.T) {
	r := rig.New(t)
	r.Start()
	good := r.Apply(rig.Cluster(3, 1))
	m := newMachine(t, r, "lb1")
	m.InForce(m.mustStart(), nil)
	r.Apply(rig.Cluster(4, 1))
	m.InForce(m.next(), os.ErrInvalid)
	r.Stop()
	m.stop()
	if c := m.mustStart(); c.Revision != good {
		t.Errorf("revision %d", c.Revision)
	}
}

func TestACorruptDatabaseCostsNothing(t *testing.T) {
	r := rig.New(t)
	r.Start()
	good := r.Apply(rig.Cluster(3, 1))
	m := newMachine(t, r, "lb1")
	m.InForce(m.mustStart(), nil)
	r.Stop()
	m.stop()
	if err := os.WriteFile(filepath.Join(m.dir, state.FileName), make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := m.mustStart(); c.Revision != good {
		t.Errorf("revision %d", c.Revision)
	}
}

func TestWhoWasTakenOutDoesNotComeBackByItself(t *testing.T) {
	r := rig.New(t)
	r.Start()
	r.Apply(rig.Cluster(4, 1))
	m := newMachine(t, r, "lb4")
	m.InForce(m.mustStart(), nil)
	r.Apply(rig.Cluster(3, 1))
	rig.Until(t, "it hears of it", func() bool {
		return m.Away() != nil && strings.Contains(m.Away().Error(), "is not in the cluster file")
	})
	waits := func(when string) {
		t.Helper()
		m.stop()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := m.start(ctx); err == nil {
			t.Errorf("%s it goes on with %d nodes", when, len(m.Current().Nodes))
		}
	}
	waits("told so")
	r.Stop()
	waits("without the service")
	r.Start()
	r.Apply(rig.Cluster(4, 1))
	if c := m.mustStart(); len(c.Nodes) != 4 {
		t.Errorf("approved again: %d nodes", len(c.Nodes))
	}
}

// While a machine is away it may be taken out, too.
func TestWhoWasTakenOutWhileAwayDoesNotComeBack(t *testing.T) {
	r := rig.New(t)
	r.Start()
	r.Apply(rig.Cluster(4, 1))
	m := newMachine(t, r, "lb4")
	m.InForce(m.mustStart(), nil)
	m.stop()
	r.Apply(rig.Cluster(3, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := m.start(ctx); err == nil {
		t.Errorf("it goes on with %d nodes", len(m.Current().Nodes))
	}
}

func TestAStoreWithoutAClusterFileTakesNobodyOut(t *testing.T) {
	r := rig.New(t)
	r.Start()
	good := r.Apply(rig.Cluster(3, 1))
	m := newMachine(t, r, "lb1")
	m.InForce(m.mustStart(), nil)
	m.stop()
	r.Stop()
	r.Dir = t.TempDir()
	r.Start()
	if c := m.mustStart(); c.Revision != good {
		t.Errorf("revision %d", c.Revision)
	}
}

// copyTree copies the data of a stopped store: a backup.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestAStoreThatWentBackInTimeIsReadAnew(t *testing.T) {
	r := rig.New(t)
	r.Start()
	old := r.Apply(rig.Cluster(4, 1))
	r.Stop()
	backup := copyTree(t, r.Dir)
	r.Start()
	m := newMachine(t, r, "lb1")
	r.Apply(rig.Cluster(5, 1))
	m.InForce(m.mustStart(), nil)
	r.Stop()
	r.Dir = backup
	r.Start()
	if c := m.next(); c.Revision != old || len(c.Nodes) != 4 {
		t.Errorf("revision %d, %d nodes", c.Revision, len(c.Nodes))
	}
}

func TestAStoreThatWentBackRemovesNobodyByItself(t *testing.T) {
	r := rig.New(t)
	r.Start()
	r.Apply(rig.Cluster(2, 1))
	r.Stop()
	backup := copyTree(t, r.Dir)
	r.Start()
	m := newMachine(t, r, "lb1")
	newest := r.Apply(rig.Cluster(4, 1))
	m.InForce(m.mustStart(), nil)
	r.Stop()
	r.Dir = backup
	r.Start()
	rig.Until(t, "it refuses", func() bool {
		err := m.Failure()
		return err != nil && strings.Contains(err.Error(), "it removes 2 of 4 nodes: lb3, lb4")
	})
	if m.Current().Revision != newest {
		t.Errorf("revision %d", m.Current().Revision)
	}
	rig.Until(t, "it is reported", func() bool { return strings.Contains(registered(t, r, "lb1").Said.GetError(), "removes 2 of 4") })
	r.Apply(rig.Cluster(4, 2)) // newer than the backup, older than what is in force, and complete
	if c := m.next(); len(c.Servers) != 2 || m.Failure() != nil {
		t.Errorf("%d servers, %v", len(c.Servers), m.Failure())
	}
}

func TestANewStoreDoesNotMoveEveryConnection(t *testing.T) {
	r := rig.New(t)
	r.Start()
	r.Apply(rig.Cluster(3, 1))
	m := newMachine(t, r, "lb1")
	m.InForce(m.mustStart(), nil)
	base := m.Current().Keys.Base
	r.Stop()
	r.Dir = t.TempDir()
	r.Start()
	r.Apply(rig.Cluster(3, 1))
	rig.Until(t, "it refuses", func() bool {
		err := m.Failure()
		return err != nil && strings.Contains(err.Error(), "keys are of another cluster")
	})
	m.stop()
	if m.mustStart().Keys.Base != base {
		t.Error("after a restart it takes them")
	}
}

func TestAnyFrontEndWillDo(t *testing.T) {
	r := rig.New(t)
	r.Start()
	r.Apply(rig.Cluster(3, 1))
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close() // accepts, and never says a word
	m := newMachine(t, r, "lb1")
	m.o.Service.Addresses = []netip.AddrPort{netip.MustParseAddrPort(dead.Addr().String()), netip.MustParseAddrPort("127.0.0.1:1"), r.Address}
	if c := m.mustStart(); len(c.Nodes) != 3 {
		t.Errorf("%d nodes", len(c.Nodes))
	}
}

func TestACertificateIsOfTheMachine(t *testing.T) {
	r := rig.New(t)
	m := newMachine(t, r, "lb1")
	m.o.ID = "lb2"
	if err := m.start(t.Context()); err == nil || !strings.Contains(err.Error(), "is the certificate of node lb1 of cluster test, and this is node lb2") {
		t.Error(err)
	}
}

func TestAClusterFileIsWatched(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cluster.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := wholefile.Replace(filepath.Join(dir, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	key := strings.Repeat("0123456789abcdef", 4)
	write("cluster.key", key)
	write("cluster.yaml", "key_file: cluster.key\n"+rig.Cluster(3, 1))
	s, err := Open(t.Context(), quiet(), Options{ClusterFile: path, Role: identity.Node, ID: "lb1"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m := &machine{t: t, Source: s}
	if c := m.Current(); len(c.Nodes) != 3 || c.Revision != 0 {
		t.Errorf("%d nodes", len(c.Nodes))
	}
	write("cluster.yaml", "key_file: cluster.key\n"+rig.Cluster(4, 1))
	if c := m.next(); len(c.Nodes) != 4 {
		t.Errorf("%d nodes", len(c.Nodes))
	}
	write("cluster.yaml", "colour: red\n")
	rig.Until(t, "a bad file is noticed", func() bool { return m.Failure() != nil })
	write("cluster.yaml", "key_file: cluster.key\n"+rig.Cluster(4, 2))
	if c := m.next(); len(c.Servers) != 2 || m.Failure() != nil {
		t.Errorf("%d servers, %v", len(c.Servers), m.Failure())
	}
	before := m.Current().Keys.Base
	write("cluster.key", strings.ToUpper(strings.Replace(key, "0", "1", 1)))
	if c := m.next(); c.Keys.Base == before {
		t.Error("the changed key is not read")
	}
	m.InForce(m.Current(), nil)
	if m.Away() != nil {
		t.Error(m.Away())
	}
}
