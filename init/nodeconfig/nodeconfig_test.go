package nodeconfig

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/init/cmdline"
	"weir/init/phase"
	"weir/services/config"
)

func node(id string) string {
	return `node: ` + id + `
config_service: {addresses: ["10.30.0.2:6092"], ca: identity/ca.crt, cert: identity/node.crt, key: /keys/node.key}
dataplane:
  north: {device: "mac:52:54:00:00:00:01", exception: weir-north} # left
  south: {device: "pci:0000:00:04.0", exception: weir-south}
machine:
  north: {addresses: [10.10.0.11/24], gateway: 10.10.0.1}
  south: {addresses: [10.20.0.11/24]}
`
}

// machine has the given files.
func machine(t *testing.T, files map[string]string) *Loader {
	t.Helper()
	l := &Loader{Root: t.TempDir(), Fetch: func(context.Context, string) ([]byte, error) { return nil, errors.New("no route to host") }}
	for path, text := range files {
		path = filepath.Join(l.Root, path)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestWhichConfigurationIsTaken(t *testing.T) {
	url := cmdline.Source{Kind: cmdline.URL, Location: "http://10.0.0.1/node.yaml"}
	for name, c := range map[string]struct {
		from   cmdline.Source
		files  map[string]string
		node   string // empty: none
		source string
		result phase.Result
	}{
		"the disk's before the built in one":  {cmdline.Source{}, map[string]string{onDisk: node("disk"), builtIn: node("image"), lastGood: node("last")}, "disk", "disk", phase.OK},
		"the built in one without a disk's":   {cmdline.Source{}, map[string]string{builtIn: node("image"), lastGood: node("last")}, "image", "built in", phase.OK},
		"the last good one for a bad one":     {cmdline.Source{}, map[string]string{onDisk: "node: [", builtIn: node("image"), lastGood: node("last")}, "last", "disk", phase.Degraded},
		"the last good one for a lost one":    {cmdline.Source{}, map[string]string{lastGood: node("last")}, "last", "disk", phase.Degraded},
		"the last good one for an absent URL": {url, map[string]string{onDisk: node("disk"), lastGood: node("last")}, "last", "http://10.0.0.1/node.yaml", phase.Degraded},
		"none for an absent URL":              {url, map[string]string{onDisk: node("disk")}, "", "", phase.Failed},
		"none if the last good one is bad":    {cmdline.Source{}, map[string]string{lastGood: "x"}, "", "", phase.Failed},
		"none at all":                         {cmdline.Source{}, nil, "", "", phase.Failed},
		"only the disk's if it is asked for":  {cmdline.Source{Kind: cmdline.Disk}, map[string]string{builtIn: node("image")}, "", "", phase.Failed},
		"the built in one if it is asked for": {cmdline.Source{Kind: cmdline.BuiltIn}, map[string]string{onDisk: node("disk"), builtIn: node("image")}, "image", "built in", phase.OK},
		"a file":                              {cmdline.Source{Kind: cmdline.File, Location: "/mnt/n.yaml"}, map[string]string{"/mnt/n.yaml": node("file")}, "file", "/mnt/n.yaml", phase.OK},
		"none for somebody else's machine":    {cmdline.Source{}, map[string]string{onDisk: strings.Split(node("lab"), "machine:")[0]}, "", "", phase.Failed},
	} {
		got, o := machine(t, c.files).Load(context.Background(), c.from)
		if o.Result != c.result || (o.Remedy == "") != (o.Result == phase.OK) || (got == nil) != (c.node == "") {
			t.Errorf("%s: %+v, %+v", name, got, o)
			continue
		}
		if got != nil && (got.Node.Node != c.node || got.Source != c.source || got.LastGood != (c.result == phase.Degraded)) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAMistakeIsToldWithItsLine(t *testing.T) {
	_, o := machine(t, map[string]string{onDisk: node("lb1") + "  hugepages: {per_numa: 3MiB}\n"}).Load(context.Background(), cmdline.Source{})
	if !strings.Contains(o.Reason, onDisk+":9:") || !strings.Contains(o.Reason, "per_numa") {
		t.Error(o)
	}
}

func TestTheServicesGetAbsolutePathsAndPCIAddresses(t *testing.T) {
	text, err := Resolved([]byte(node("lb1")), map[string]string{"mac:52:54:00:00:00:01": "0000:00:03.0", "pci:0000:00:04.0": "0000:00:04.0"})
	if err != nil {
		t.Fatal(err)
	}
	n, err := config.ParseNode("resolved", text)
	if err != nil {
		t.Fatal(err)
	}
	if n.Dataplane.North.Device != "pci:0000:00:03.0" || n.Dataplane.South.Device != "pci:0000:00:04.0" ||
		n.Service.CA != "/var/lib/weir/identity/ca.crt" || n.Service.Key != "/keys/node.key" || !strings.Contains(string(text), "# left") {
		t.Errorf("resolved to:\n%s", text)
	}
}

func TestANICThatIsNotThereKeepsItsName(t *testing.T) {
	text, err := Resolved([]byte(node("lb1")), nil)
	if err != nil || !strings.Contains(string(text), `"mac:52:54:00:00:00:01"`) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestAConfigurationIsFetchedAgainUntilTheServerAnswersWell(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte(node("lb1")))
	}))
	defer s.Close()
	l := machine(t, nil)
	text, err := l.FetchHTTP(context.Background(), s.URL)
	if err != nil || string(text) != node("lb1") || asked != 2 {
		t.Errorf("asked %d times: %q, %v", asked, text, err)
	}
}

func TestAnEndlessOrUntrustedAnswerIsRefused(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 2 * maxSize / 1024 {
			if _, err := w.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = nil
	defer untrusted.Close()
	for url, want := range map[string]string{endless.URL: "that is no configuration", untrusted.URL: "certificate"} {
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		if _, err := machine(t, nil).FetchHTTP(ctx, url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		stop()
	}
}
