package main

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/configd/rig"
	"weir/services/identity"
)

// southAdmin is where lb1 serves operators.
const southAdmin = "10.20.0.11:6090"

// ask calls the admin API over the network with a TLS configuration.
func ask(t *testing.T, c *tls.Config) (*api.NodeStatus, error) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:"+southAdmin, grpc.WithTransportCredentials(credentials.NewTLS(c)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return api.NewAdminClient(conn).Status(ctx, &api.NodeStatusRequest{})
}

func as(t *testing.T, f identity.Files) *tls.Config {
	t.Helper()
	me, err := identity.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return me.Client(identity.Node)
}

func TestOperatorsElsewhereAreServedAndStrangersAreNot(t *testing.T) {
	p, r, text := fromService(t)
	r.Apply(text)
	newFakeDataplane().serve(t, p.path("run/dataplane.sock"))
	p.start()
	p.eventually("start", func(s *api.NodeStatus) bool { return s.Generation != "" })
	operator := as(t, r.Issue(identity.Operator, "tester"))
	rig.Until(t, "an operator is served", func() bool {
		s, err := ask(t, operator)
		return err == nil && s.Id == "lb1" && s.Cluster == rig.Name
	})

	stranger := rig.New(t) // an authority of its own that says that it is the cluster's
	wrongCA := as(t, stranger.Issue(identity.Operator, "tester"))
	wrongCA.RootCAs = operator.RootCAs // he trusts the node; the node is not to trust him
	nobody := operator.Clone()
	nobody.GetClientCertificate = nil
	for name, c := range map[string]*tls.Config{
		"of another authority": wrongCA, "with no certificate": nobody,
		"who is a server": as(t, r.Issue(identity.Server, "srv1")), "who is another node": as(t, r.Issue(identity.Node, "lb2")),
	} {
		if s, err := ask(t, c); status.Code(err) != codes.Unavailable {
			t.Errorf("somebody %s got %v, %v", name, s, err)
		}
	}
	if _, err := ask(t, operator); err != nil { // it was not that nobody listened
		t.Errorf("the operator afterwards: %v", err)
	}
}

func TestTheControlAddressServesOperatorsWhenItIsThere(t *testing.T) {
	p, _, _ := fromService(t) // which has no configuration for the node yet
	p.edit("node.yaml", "metrics:", "machine: {north: {addresses: [10.10.0.11/24]}, south: {addresses: [10.20.0.11/24]}, control: {device: \"mac:52:54:00:00:00:03\", addresses: [10.30.0.11/24]}}\nmetrics:")
	p.start()
	s := p.eventually("alarm", func(s *api.NodeStatus) bool {
		return strings.Contains(strings.Join(s.Alarms, "\n"), "10.30.0.11 is not on this machine")
	})
	if strings.Contains(strings.Join(s.Alarms, "\n"), "10.20.0.11 is not") {
		t.Errorf("%q", s.Alarms)
	}
	ip(t, "address add 10.30.0.11/24 dev weir-south")
	t.Cleanup(func() { ip(t, "address del 10.30.0.11/24 dev weir-south") })
	p.eventually("the address is served", func(s *api.NodeStatus) bool { return !strings.Contains(strings.Join(s.Alarms, "\n"), "10.30.0.11") })
}
