package main

import (
	"os"
	"strings"
	"testing"

	"weir/services/api"
	"weir/services/configd/rig"
	"weir/services/identity"
)

// fromService is a place whose node asks a configuration service, which has the
// cluster file of the place.
func fromService(t *testing.T) (*place, *rig.Rig, string) {
	t.Helper()
	r := rig.New(t)
	r.Start()
	f, err := identity.Issue(r.PKI, identity.Node, "lb1", []string{"10.20.0.11", "10.30.0.11"})
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, func(s string) string {
		s = strings.Replace(s, "cluster_file: cluster.yaml", "config_service: {addresses: [\""+r.Address.String()+"\"], ca: "+f.CA+", cert: "+f.Cert+", key: "+f.Key+"}", 1)
		return strings.Replace(strings.Replace(s, "{name: lab, id: 1}", "{name: "+rig.Name+", id: 1}", 1), "key_file: cluster.key\n", "", 1)
	})
	b, err := os.ReadFile(p.path("cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return p, r, string(b)
}

// registration is what the service knows of lb1.
func registration(t *testing.T, r *rig.Rig) *api.Registered {
	t.Helper()
	list, err := r.Operator().Registrations(t.Context(), &api.RegistrationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list.List {
		if one.Id == "lb1" {
			return one
		}
	}
	return nil
}

func TestANodeWithoutAnyConfigurationSaysWhatItWaitsFor(t *testing.T) {
	p, r, text := fromService(t)
	p.start()
	s := p.eventually("it answers", func(s *api.NodeStatus) bool {
		return strings.Contains(strings.Join(s.Alarms, "\n"), "node lb1 is not in the cluster file of the configuration service; weirctl apply approves it")
	})
	if s.Id != "lb1" || len(s.Nodes) > 0 {
		t.Errorf("%v", s)
	}
	r.Apply(text)
	newFakeDataplane().serve(t, p.path("run/dataplane.sock"))
	p.eventually("it serves", func(s *api.NodeStatus) bool { return s.Generation != "" && s.DataplaneError == "" })
}

func TestTheConfigurationServiceIsFollowedAndHearsWhatIsInForce(t *testing.T) {
	p, r, text := fromService(t)
	r.Apply(text)
	fake := newFakeDataplane()
	fake.serve(t, p.path("run/dataplane.sock"))
	p.start()
	rig.Until(t, "it is in force", func() bool { return registration(t, r).Current })
	weighty := strings.Replace(text, "{id: srv1, number: 1, address: 10.20.0.101}", "{id: srv1, number: 1, address: 10.20.0.101, weight: 7}", 1)
	r.Apply(weighty)
	rig.Until(t, "the change is in force", func() bool {
		return registration(t, r).Current && fake.last().Servers[0].Weight == 7
	})
	r.Apply(weighty + "# changes nothing\n")
	rig.Until(t, "a change that the dataplane does not see is in force", func() bool { return registration(t, r).Current })
	r.Apply(strings.Replace(weighty, "left: 10.10.0.102", "left: 10.10.0.152", 1))
	rig.Until(t, "the service hears why not", func() bool {
		x := registration(t, r)
		return !x.Current && strings.Contains(x.Said.GetError(), "10.10.0.152 is not on weir-north")
	})
	if s, err := p.status(); err != nil || !strings.Contains(s.ConfigError, "10.10.0.152 is not on weir-north") {
		t.Errorf("%v, %v", s.GetConfigError(), err)
	}
}

// A rotation may not go on before the dataplane has the new keys, too.
func TestKeysAreInForceWhenTheDataplaneHasThem(t *testing.T) {
	p, r, text := fromService(t)
	r.Apply(text)
	fake := newFakeDataplane()
	stop := fake.serve(t, p.path("run/dataplane.sock"))
	p.start()
	rig.Until(t, "it is in force", func() bool { return registration(t, r).Current })
	operator := r.Operator()
	next := func(to api.KeysPhase) {
		t.Helper()
		now, err := operator.Keys(t.Context(), &api.KeysRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := operator.ChangeKeys(t.Context(), &api.KeysChange{To: to, ExpectedRevision: now.Revision}); err != nil {
			t.Fatal(err)
		}
	}
	next(api.KeysPhase_KEYS_ADDED)
	rig.Until(t, "both keys are in force", func() bool { return registration(t, r).Current })
	if n := len(fake.last().Secrets.Control); n != 2 {
		t.Errorf("the dataplane has %d keys", n)
	}
	before := fake.last().Secrets.Control[0].Id
	next(api.KeysPhase_KEYS_SEALING)
	rig.Until(t, "the new key is in force", func() bool { return registration(t, r).Current })
	if fake.last().Secrets.Control[0].Id == before {
		t.Error("the old key still seals")
	}
	stop()
}

func TestWithoutTheServiceTheLastGoodConfigurationServes(t *testing.T) {
	p, r, text := fromService(t)
	r.Apply(text)
	fake := newFakeDataplane()
	fake.serve(t, p.path("run/dataplane.sock"))
	stop := p.start()
	rig.Until(t, "it is in force", func() bool { return registration(t, r).Current })
	r.Stop()
	alarm := func(s *api.NodeStatus) bool {
		return strings.Contains(strings.Join(s.Alarms, "\n"), "the configuration service does not answer")
	}
	before := p.eventually("alarm", alarm)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	p.start()
	after := p.eventually("start without the service", func(s *api.NodeStatus) bool { return alarm(s) && s.Generation == before.Generation })
	if len(after.Servers) != len(before.Servers) {
		t.Errorf("%d servers", len(after.Servers))
	}
	r.Start()
	p.eventually("the service is back", func(s *api.NodeStatus) bool { return !alarm(s) })
}
