// Package identity says who is who over mutual TLS (S-105, S-112): a cluster
// has a certificate authority of its own, and every certificate names the
// cluster, a role and an id in a URI, weir://CLUSTER/ROLE/ID.
package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Role says what the holder of a certificate may do.
type Role string

// Roles.
const (
	Node     Role = "node"     // an LB node: reads the configuration, reports itself, offers the admin API
	Server   Role = "server"   // an LB module: reads the configuration, reports itself
	Operator Role = "operator" // changes the configuration, uses the admin API
	Configd  Role = "configd"  // offers the configuration service
	// Provisiond boots machines over the network and enrols them.
	Provisiond Role = "provisiond"
)

// Roles are all of them.
var Roles = []Role{Node, Server, Operator, Configd, Provisiond}

// authority is the path of a CA's own URI.
const authority = "ca"

// Name is who somebody is.
type Name struct {
	Cluster string
	Role    Role
	ID      string
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (n Name) String() string { return string(n.Role) + " " + n.ID + " of cluster " + n.Cluster }

func (n Name) uri() *url.URL {
	return &url.URL{Scheme: "weir", Host: n.Cluster, Path: "/" + string(n.Role) + "/" + n.ID}
}

// check refuses what could not be read back.
func (n Name) check() error {
	switch {
	case !idForm.MatchString(n.Cluster):
		return fmt.Errorf("%q is not a cluster name; use letters, digits, dots, dashes and underscores, 63 at most", n.Cluster)
	case !slices.Contains(Roles, n.Role):
		return fmt.Errorf("%q is not a role; use one of: %s", n.Role, roleNames(Roles))
	case !idForm.MatchString(n.ID):
		return fmt.Errorf("%q is not an id; use letters, digits, dots, dashes and underscores, 63 at most", n.ID)
	}
	return nil
}

func roleNames(roles []Role) string {
	var s []string
	for _, r := range roles {
		s = append(s, string(r))
	}
	return strings.Join(s, ", ")
}

// errNoName is for certificates of somebody else's making.
var errNoName = errors.New("the certificate names no cluster and role; weirctl certs issue makes one that does")

// nameOf reads the name in a certificate.
func nameOf(c *x509.Certificate) (Name, error) {
	for _, u := range c.URIs {
		if u.Scheme != "weir" {
			continue
		}
		role, id, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
		n := Name{u.Host, Role(role), id}
		return n, n.check()
	}
	return Name{}, errNoName
}

// clusterOf reads the cluster of a CA's certificate.
func clusterOf(c *x509.Certificate) (string, error) {
	for _, u := range c.URIs {
		if u.Scheme == "weir" && u.Path == "/"+authority && c.IsCA {
			return u.Host, nil
		}
	}
	return "", errors.New("the certificate is not a cluster's authority; weirctl certs create-ca makes one")
}
