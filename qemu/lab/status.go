package lab

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Status prints the machines and whether their programs run. It fails if one
// does not.
func (l *Lab) Status(out io.Writer) error {
	d, err := l.ReadDescription()
	if err != nil {
		return err
	}
	var dead []string
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MACHINE\tNAMESPACE\tADDRESS\tPROGRAMS")
	row := func(id, ns, address string, names ...string) {
		var states []string
		for _, name := range names {
			if pid := l.Pid(id, name); pid != 0 {
				states = append(states, fmt.Sprintf("%s (%d)", name, pid))
				continue
			}
			states = append(states, name+" (stopped)")
			dead = append(dead, name+" of "+id)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", id, ns, address, strings.Join(states, ", "))
	}
	row("client", d.Client.Namespace, d.Client.Address)
	row("router", d.Router.Namespace, "", "zebra", "bgpd")
	row("controller", d.Config.Namespace, d.Config.Address, configdName)
	for _, n := range d.LBNodes {
		row(n.ID, n.Namespace, n.North+" "+n.South, nodePrograms(d.Kind)...)
	}
	for _, s := range d.Servers {
		row(s.ID, s.Namespace, s.Address, moduleName, "nginx")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(dead) > 0 {
		return errors.New("not running: " + strings.Join(dead, ", "))
	}
	return nil
}

// nodePrograms are what runs for a node in a lab of that kind.
func nodePrograms(kind string) []string {
	if kind == kindQEMU {
		return []string{qemuName}
	}
	return []string{dataplaneName, nodedName}
}
