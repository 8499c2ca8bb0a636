package topology

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
	"time"

	"golang.org/x/crypto/bcrypt"
)

//go:embed templates/*.tmpl
var templates embed.FS

var parsed = template.Must(template.New("").Funcs(template.FuncMap{
	"ids": func(servers []Server) string {
		ids := make([]string, len(servers))
		for i, s := range servers {
			ids[i] = s.ID
		}
		return strings.Join(ids, ", ")
	},
	"repeat": strings.Repeat,
}).ParseFS(templates, "templates/*.tmpl"))

// Certificate is where a machine's certificate, its key and the authority's
// certificate are.
type Certificate struct{ CA, Cert, Key string }

// NodePaths are the places on one LB node that its node.yaml names.
type NodePaths struct {
	Certificate
	Run   string // directory of its sockets
	State string // directory of its state
}

// ServerPaths are the places on one server that its module.yaml and its
// nginx.conf name.
type ServerPaths struct {
	Certificate
	Run    string // directory of the module's socket
	State  string // directory of its state
	Pins   string // directory on the bpf file system for maps and links
	CGroup string // directory of the server's CPU cgroup
	Dir    string // nginx's own directory: logs, temporary files
	WWW    string // the files that it serves
}

// ControllerPaths are the places on the controller that its configd.yaml names.
type ControllerPaths struct {
	Certificate
	State string // directory of the embedded etcd
}

// ClusterYAML is the cluster file. The configuration service makes the keys.
func (t *Topology) ClusterYAML() (string, error) {
	const interval = 100 * time.Millisecond // of checks, by default
	hold := 3 * time.Second                 // the least that BGP has (RFC 4271, section 4.2)
	if t.FailureTime > time.Second {
		hold = 2 * t.FailureTime
	}
	return render("cluster.yaml.tmpl", map[string]any{"T": t, "Misses": int(t.FailureTime / interval), "ServerTimeout": 3 * t.FailureTime, "Hold": hold, "RouterASN": RouterASN, "LBASN": LBASN, "MTU": MTU, "ClusterName": ClusterName})
}

// ConfigdYAML is the configuration of the controller's configd.
func (t *Topology) ConfigdYAML(p ControllerPaths) (string, error) {
	return render("configd.yaml.tmpl", map[string]any{"Paths": p})
}

// NodeYAML is the configuration of one LB node's dataplane and noded.
func (t *Topology) NodeYAML(n Node, p NodePaths) (string, error) {
	return render("node.yaml.tmpl", map[string]any{"Node": n, "Service": t.ConfigService(), "Paths": p})
}

// ConsolePassword opens the consoles of the QEMU lab's nodes.
const ConsolePassword = "weir"

// MachineYAML is the configuration of an LB node that is an appliance: of its
// machine too. Its certificate, of that name, is in the directory identity of its
// state.
func (t *Topology) MachineYAML(n Node, certificate string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(ConsolePassword), bcrypt.MinCost)
	if err != nil {
		return "", fmt.Errorf("hash the console's password: %w", err)
	}
	return render("node-machine.yaml.tmpl", map[string]any{
		"Node": n, "Certificate": certificate, "Service": t.ConfigServiceControl(), "Router": t.RouterNorth, "Password": string(hash),
		"NorthMAC": n.MAC(North), "SouthMAC": n.MAC(South), "ControlMAC": n.MAC(Control),
	})
}

// ModuleYAML is the configuration of one server's LB module.
func (t *Topology) ModuleYAML(s Server, p ServerPaths) (string, error) {
	return render("module.yaml.tmpl", map[string]any{"Server": s, "Service": t.ConfigService(), "Paths": p})
}

// FRRConf is the router's configuration.
func (t *Topology) FRRConf() (string, error) {
	return render("frr.conf.tmpl", map[string]any{"T": t, "RouterASN": RouterASN, "LBASN": LBASN})
}

// NginxConf is the configuration of one server's nginx.
func (t *Topology) NginxConf(s Server, p ServerPaths) (string, error) {
	return render("nginx.conf.tmpl", map[string]any{"Server": s, "Paths": p})
}

func render(name string, data any) (string, error) {
	var b strings.Builder
	if err := parsed.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("render %s: %w", name, err)
	}
	return b.String(), nil
}
