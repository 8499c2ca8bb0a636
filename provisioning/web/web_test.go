package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/provisioning/guard"
	"weir/provisioning/rig"
)

// network is a table of neighbours.
type network map[netip.Addr]string

func (n network) MAC(a netip.Addr) (string, bool) { m, ok := n[a]; return m, ok }

func server(t testing.TB) (*Server, *rig.Rig) {
	t.Helper()
	r := rig.New(t)
	s := &Server{Log: slog.New(slog.DiscardHandler), Counters: r.Counters, Machines: r.Registry, Base: "http://10.40.0.1:6094", Images: r.File.ImageDir,
		Neighbours: network{netip.MustParseAddr("10.40.0.100"): "52:54:00:00:00:01", netip.MustParseAddr("10.40.0.101"): "52:54:00:00:00:02"},
		Programs:   map[string][]byte{"snponly.efi": []byte("MZ")}, Words: []string{"weir.enrol=x"}}
	s.offers.list, s.rate = map[string]offer{}, guard.NewRate(requests, atOnce)
	return s, r
}

func get(s *Server, client, method, url string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "http://10.40.0.1:6094/", nil)
	r.RemoteAddr = client + ":1234"
	path, query, _ := strings.Cut(url, "?")
	r.URL.Path, r.URL.RawQuery, r.RequestURI = path, query, url
	s.ServeHTTP(w, r)
	return w
}

func TestTheMACAddressOfAScriptMustBeTheClientsOwn(t *testing.T) {
	s, r := server(t)
	for _, c := range []struct {
		client, mac, arch string
		code              int
	}{
		{"10.40.0.100", "52-54-00-00-00-01", "x86_64", 200},
		{"10.40.0.100", "52:54:00:00:00:01", "i386", 200},
		{"10.40.0.101", "52-54-00-00-00-01", "", 403},
		{"10.40.0.199", "52-54-00-00-00-01", "", 403},
		{"10.40.0.100", "", "", 400},
		{"10.40.0.100", "52-54-00-00-00-01", "arm64", 404},
	} {
		if w := get(s, c.client, "GET", "/script?mac="+c.mac+"&arch="+c.arch); w.Code != c.code || (c.code == 200) != strings.HasPrefix(w.Body.String(), "#!ipxe\n") {
			t.Errorf("%+v: %d, %s", c, w.Code, w.Body)
		}
	}
	if n := rig.Refused(t, r.Counters, "http", "not_its_machine"); n != 2 {
		t.Errorf("%d refusals are counted", n)
	}
}

func TestAnOfferIsForItsMachineAndEndsWithTheNextBoot(t *testing.T) {
	o := offers{list: map[string]offer{}}
	const a, b = "52:54:00:00:00:01", "52:54:00:00:00:02"
	now := time.Now()
	add := func(mac, version string, at time.Time) string {
		t.Helper()
		token, ok := o.add(offer{mac: mac, version: version, until: at.Add(offerFor)}, at)
		if !ok {
			t.Fatal("no room")
		}
		return token
	}
	first := add(a, "1", now)
	if again := add(a, "1", now); again != first {
		t.Error("asking again makes another offer")
	}
	if _, ok := o.get(first, b, now); ok {
		t.Error("another machine uses it")
	}
	second := add(a, "2", now)
	if _, ok := o.get(first, a, now); ok || second == first {
		t.Error("an earlier boot's is there still")
	}
	if _, ok := o.get(second, a, now.Add(offerFor+time.Second)); ok {
		t.Error("it never ends")
	}
	for i := range maxOffers + 10 {
		o.add(offer{mac: fmt.Sprint(i), until: now.Add(offerFor)}, now)
	}
	if len(o.list) > maxOffers {
		t.Errorf("%d offers", len(o.list))
	}
	if _, ok := o.add(offer{mac: b, until: now.Add(2 * offerFor)}, now.Add(offerFor+time.Second)); !ok || len(o.list) != 1 {
		t.Errorf("%d offers are left", len(o.list))
	}
}

func TestAMachineKeepsItsOfferWithAnotherAddress(t *testing.T) {
	s, _ := server(t)
	s.Neighbours.(network)[netip.MustParseAddr("10.40.0.150")] = "52:54:00:00:00:01"
	body := get(s, "10.40.0.100", "GET", "/script?mac=52:54:00:00:00:01").Body.String()
	i := strings.Index(body, offerPath)
	at := body[i : i+len(offerPath)+33]
	for client, code := range map[string]int{"10.40.0.150": 200, "10.40.0.101": 404, "10.40.0.199": 404} {
		if w := get(s, client, "GET", at+kernel); w.Code != code {
			t.Errorf("%s: %d", client, w.Code)
		}
	}
}

func TestTheRateOfAClientIsBoundedAndOthersDoNotNotice(t *testing.T) {
	s, _ := server(t)
	refused := 0
	for range atOnce * 2 {
		if get(s, "10.40.0.100", "GET", "/boot.ipxe").Code == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused < atOnce/2 {
		t.Errorf("%d are refused", refused)
	}
	if w := get(s, "10.40.0.101", "GET", "/boot.ipxe"); w.Code != 200 {
		t.Errorf("another client: %d", w.Code)
	}
}

func TestHeadSpendsNoTrial(t *testing.T) {
	s, r := server(t)
	body := get(s, "10.40.0.100", "GET", "/script?mac=52:54:00:00:00:01").Body.String()
	i := strings.Index(body, offerPath)
	at := body[i : i+len(offerPath)+33]
	if w := get(s, "10.40.0.100", "HEAD", at+kernel); w.Code != 200 || w.Header().Get("Content-Length") != fmt.Sprint(len("kernel "+rig.Version)) {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
	if w := get(s, "10.40.0.100", "POST", at+kernel); w.Code != 405 {
		t.Errorf("%d", w.Code)
	}
	r.Close()
}

// Whatever path and query: an answer without a panic, and never a file that is
// not one of those that are served.
func FuzzRequests(f *testing.F) {
	s, _ := server(f)
	for _, u := range []string{"/boot.ipxe", "/script?mac=52:54:00:00:00:01", "/ipxe/snponly.efi", "/offer/0/node.yaml", "/repository/metadata/1.root.json", "/../x", "/script?mac=%00&uuid=\xff"} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, url string) {
		s.rate = guard.NewRate(requests, atOnce)
		if w := get(s, "10.40.0.101", "GET", url); w.Code == 200 && !strings.HasPrefix(w.Body.String(), "#!ipxe\n") && w.Body.String() != "MZ" {
			t.Fatalf("%q: %s", url, w.Body)
		}
	})
}
