package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"weir/qemu/topology"
	"weir/services/identity"
)

// Description is lab.json: what users of a running lab need to know. Its
// names are public interface.
type Description struct {
	Kind    string       `json:"kind"` // "namespaces" or "qemu"
	VIPs    []VIP        `json:"vips"`
	Client  Machine      `json:"client"`
	Router  RouterInfo   `json:"router"`
	LBNodes []NodeInfo   `json:"lb_nodes"`
	Servers []ServerInfo `json:"servers"`
	Config  ConfigInfo   `json:"config"`
}

// VIP is a public endpoint.
type VIP struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Address6 string `json:"address6"`
	Port     uint16 `json:"port"`
}

// Machine is a machine without anything of ours.
type Machine struct {
	Namespace string `json:"namespace"`
	Address   string `json:"address"`
	Address6  string `json:"address6"`
}

// RouterInfo is the edge router.
type RouterInfo struct {
	Namespace string `json:"namespace"`
	Vtysh     string `json:"vtysh"` // command line of its shell
}

// NodeInfo is an LB node.
type NodeInfo struct {
	ID        string         `json:"id"`
	Namespace string         `json:"namespace"` // empty in QEMU labs
	North     string         `json:"north"`
	North6    string         `json:"north6"`
	South     string         `json:"south"`
	Pids      map[string]int `json:"pids"`
	Metrics   string         `json:"metrics"` // URL, reachable from every machine on the fabric
	Admin     string         `json:"admin"`   // noded's Unix socket; in QEMU labs its address and port on the control network
	Serial    string         `json:"serial"`  // Unix socket of the console, in QEMU labs
}

// ConfigInfo is the configuration service, and an operator's certificate for it.
type ConfigInfo struct {
	Namespace string         `json:"namespace"`
	Address   string         `json:"address"` // and port, reachable from every machine on the fabric
	CA        string         `json:"ca"`
	Cert      string         `json:"cert"`
	Key       string         `json:"key"`
	Pids      map[string]int `json:"pids"`
}

// ServerInfo is a server node.
type ServerInfo struct {
	ID        string         `json:"id"`
	Namespace string         `json:"namespace"`
	Address   string         `json:"address"`
	Pids      map[string]int `json:"pids"`
	Admin     string         `json:"admin"`  // lbmodule's Unix socket
	Cgroup    string         `json:"cgroup"` // directory with the CPU quota
	Log       string         `json:"log"`    // nginx's access log
}

// describe looks at the running programs.
func (l *Lab) describe() Description {
	t := l.Top
	d := Description{
		Kind:   l.kind.name(),
		Client: Machine{Namespace: topology.ClientName, Address: t.Client.V4.Addr().String(), Address6: t.Client.V6.Addr().String()},
		Router: RouterInfo{Namespace: topology.RouterName, Vtysh: "vtysh -N " + topology.RouterName},
	}
	operator := l.certificate(identity.Operator, operatorID)
	d.Config = ConfigInfo{
		Namespace: topology.ControllerName, Address: t.ConfigService().String(), Pids: l.pids(topology.ControllerID, configdName),
		CA: operator.CA, Cert: operator.Cert, Key: operator.Key,
	}
	for _, v := range t.VIPs {
		d.VIPs = append(d.VIPs, VIP{Name: v.Name, Address: v.Address.String(), Address6: v.Address6.String(), Port: v.Port})
	}
	for _, n := range t.Nodes {
		info := NodeInfo{
			ID: n.ID, North: n.North.Addr().String(), North6: n.North6.Addr().String(), South: n.South.Addr().String(),
			Pids:    l.pids(n.ID, l.kind.programs(n.ID)...),
			Metrics: fmt.Sprintf("http://%v/metrics", n.Metrics()),
		}
		l.kind.describe(n, &info)
		d.LBNodes = append(d.LBNodes, info)
	}
	for _, s := range t.Servers {
		d.Servers = append(d.Servers, ServerInfo{
			ID: s.ID, Namespace: s.Namespace, Address: s.Address.Addr().String(),
			Pids:   l.pids(s.ID, moduleName, "nginx"),
			Admin:  filepath.Join(l.machineDir(s.ID), "run", "lbmodule.sock"),
			Cgroup: cgroupOf(s).Dir(),
			Log:    filepath.Join(l.machineDir(s.ID), "access.log"),
		})
	}
	return d
}

func (l *Lab) pids(machine string, names ...string) map[string]int {
	pids := map[string]int{}
	for _, name := range names {
		if pid := readPid(filepath.Join(l.machineDir(machine), name+".pid")); pid != 0 {
			pids[name] = pid
		}
	}
	return pids
}

// writeJSON replaces lab.json at once, so that readers never see half of it.
func (l *Lab) writeJSON() error {
	text, err := json.MarshalIndent(l.describe(), "", "  ")
	if err != nil {
		return fmt.Errorf("describe the lab: %w", err)
	}
	path := filepath.Join(l.Dir, "lab.json")
	if err := writeFile(path+".new", string(text)+"\n"); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Running tells whether a lab of this kind runs.
func (l *Lab) Running() bool {
	d, err := l.ReadDescription()
	return err == nil && d.Kind == l.kind.name()
}

// ReadDescription reads lab.json. The error is fs.ErrNotExist if no lab runs.
func (l *Lab) ReadDescription() (*Description, error) {
	text, err := os.ReadFile(filepath.Join(l.Dir, "lab.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no lab is running: start one with make lab-up (%w)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read lab.json: %w", err)
	}
	d := &Description{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("read lab.json: %w", err)
	}
	return d, nil
}
