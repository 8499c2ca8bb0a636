package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"weir/qemu/netns"
	"weir/qemu/topology"
	"weir/services/identity"
)

// native nodes are network namespaces with dataplane and noded in them.
type native struct{ *Lab }

func (native) name() string                 { return kindNamespaces }
func (native) settle(context.Context) error { return nil }
func (native) death() string                { return "is killed" }
func (native) hugepages() int               { return pagesPerNode }
func (native) patience() time.Duration      { return 30 * time.Second }
func (native) story() story                 { return story{requests: 2000, downloads: 4} }
func (native) callTimeout() time.Duration   { return 5 * time.Second }
func (native) buildNetwork() error          { return nil }
func (native) programs(string) []string     { return nodePrograms(kindNamespaces) }

func (k native) files() []string {
	return []string{filepath.Join(k.Bin, dataplaneName), filepath.Join(k.Bin, nodedName)}
}

// wire makes an LB node: two NICs without addresses, which the kernel does not
// listen to, and two exception interfaces with all of the node's addresses.
func (k native) wire(n topology.Node) error {
	if err := addNamespace(n.Namespace, everywhere); err != nil {
		return err
	}
	router := k.Top.RouterNorth
	for _, side := range sidesOf(n) {
		nic := side.lan + "0"
		if err := plug(n.Namespace, nic, side.port, side.lan); err != nil {
			return err
		}
		if err := netns.Sysctl(n.Namespace, "net/ipv6/conf/"+nic+"/disable_ipv6", "1"); err != nil {
			return err
		}
		if err := netns.DropIngress(n.Namespace, nic); err != nil {
			return err
		}
		if err := netns.SetMAC(n.Namespace, nic, side.mac); err != nil {
			return err
		}
		exception := "weir-" + side.lan
		if err := netns.Tap(n.Namespace, exception, side.mac, topology.MTU); err != nil {
			return err
		}
		if err := netns.Address(n.Namespace, exception, side.addrs...); err != nil {
			return err
		}
	}
	if err := netns.DefaultRoute(n.Namespace, "weir-north", router.V4.Addr()); err != nil {
		return err
	}
	return netns.DefaultRoute(n.Namespace, "weir-north", router.V6.Addr())
}

// unwire removes the ports of the switches too, which the namespace alone would
// take with it only later.
func (k native) unwire(n topology.Node) error {
	for _, side := range sidesOf(n) {
		if err := netns.DeleteLink(topology.FabricName, side.port); err != nil {
			return err
		}
	}
	return netns.Delete(n.Namespace)
}

func (k native) prepare(n topology.Node) error {
	if err := k.prepareDir(n.ID); err != nil {
		return err
	}
	certificate, err := k.issue(identity.Node, n.ID, n.South.Addr())
	if err != nil {
		return err
	}
	dir := k.machineDir(n.ID)
	text, err := k.Top.NodeYAML(n, topology.NodePaths{Certificate: certificate, Run: filepath.Join(dir, "run"), State: filepath.Join(dir, "state")})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "node.yaml"), text)
}

func (k native) program(n topology.Node, name string) (program, error) {
	return k.ourProgram(n.ID, name), nil
}

func (k native) dial(n topology.Node) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("unix:"+k.adminSocket(n), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("reach noded of %s: %w", n.ID, err)
	}
	return conn, nil
}

// link lowers the far end of the NIC's veth.
func (k native) link(n topology.Node, side Side, up bool) error {
	if up {
		return netns.Up(topology.FabricName, n.ID+"-"+string(side))
	}
	return netns.Down(topology.FabricName, n.ID+"-"+string(side))
}

func (k native) describe(n topology.Node, info *NodeInfo) {
	info.Namespace, info.Admin = n.Namespace, k.adminSocket(n)
}

func (k native) adminSocket(n topology.Node) string {
	return filepath.Join(k.machineDir(n.ID), "run", "noded.sock")
}
