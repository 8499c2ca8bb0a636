package boottest

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// The addresses of the node under test. All its networks are QEMU's own: the
// gateway of the north is the host's loopback, where the router listens.
const (
	northNet   = "net=10.10.0.0/24,host=10.10.0.1,ipv6=off"
	southNet   = "net=10.20.0.0/24,host=10.20.0.1,ipv6=off,restrict=on"
	controlNet = "net=10.30.0.0/24,host=10.30.0.2,ipv6=off"

	routerAddress = "10.10.0.1"
	northAddress  = "10.10.0.11"
	southAddress  = "10.20.0.11"

	password = "in vino veritas" // of the console
)

var (
	northMAC   = mac("52:54:00:00:01:01")
	southMAC   = mac("52:54:00:00:01:02")
	controlMAC = mac("52:54:00:00:01:03")
	absentMAC  = mac("52:54:00:00:01:ff") // of no NIC
)

func mac(s string) net.HardwareAddr {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

// configuration is what a node reads: a cluster of itself alone.
type configuration struct {
	node, cluster, key string
}

// good is a configuration with which a node serves, announced to a router at
// that port of the host's loopback.
func good(t *testing.T, routerPort int) configuration {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return configuration{
		node: fmt.Sprintf(`node: lb1
cluster_file: cluster.yaml
dataplane:
  memory: 64MiB
  north: {device: "mac:%v", exception: weir-north}
  south: {device: "mac:%v", exception: weir-south}
machine:
  north: {addresses: [%s/24, 10.10.0.102/24, 10.10.0.103/24], gateway: %s}
  south: {addresses: [%s/24]}
  control: {device: "mac:%v", dhcp: true}
  hugepages: {size: 2MiB, per_numa: 96MiB}
  password: "%s"
  watchdog: 15s
`, northMAC, southMAC, northAddress, routerAddress, southAddress, controlMAC, hash),
		cluster: fmt.Sprintf(`cluster: {name: boottest, id: 1}
key_file: cluster.key
fabric_mtu: 1500
nodes:
  - {id: lb1, number: 1, north: %s, south: %s, bgp: {left: 10.10.0.102, right: 10.10.0.103}}
servers:
  - {id: srv1, number: 1, address: 10.20.0.101}
endpoints:
  - {name: web, addresses: [%s], ports: 80}
routers:
  - {address: %s, port: %d, asn: 65000}
bgp: {asn: 65001, hold_time: 3s}
`, northAddress, southAddress, publicAddress, routerAddress, routerPort),
		key: strings.Repeat("0123456789abcdef", 4) + "\n",
	}
}

// publicAddress is announced to the router.
const publicAddress = "203.0.113.10"

// edit replaces one place of node.yaml.
func (c configuration) edit(t *testing.T, old, new string) configuration {
	t.Helper()
	if strings.Count(c.node, old) != 1 {
		t.Fatalf("node.yaml has no single place %q:\n%s", old, c.node)
	}
	c.node = strings.Replace(c.node, old, new, 1)
	return c
}

// files is the configuration as the state partition holds it.
func (c configuration) files() map[string]string {
	return map[string]string{"node.yaml": c.node, "cluster.yaml": c.cluster, "cluster.key": c.key}
}
