package machines

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"text/template"

	"weir/services/config"
)

// maxNodeYAML bounds what a template may become, in bytes: what init takes.
const maxNodeYAML = 1 << 20

// Entries makes the entries of a provisiond.yaml, and each one's node.yaml, which
// is read as strictly as the node itself will read it.
func Entries(p *config.Provisiond) ([]*Entry, error) {
	var all []*Entry
	templates := map[string]*template.Template{}
	for i, m := range p.Machines {
		e := &Entry{ProvisionMachine: m, Addresses: m.Addresses}
		all = append(all, e)
		if m.Role != config.RoleNode {
			continue
		}
		t := templates[m.Template]
		if t == nil {
			text, err := os.ReadFile(m.Template)
			if err == nil {
				t, err = template.New(m.Template).Option("missingkey=error").Parse(string(text))
			}
			if err != nil {
				return nil, p.Fault(i, "template", err)
			}
			templates[m.Template] = t
		}
		if err := e.render(t); err != nil {
			return nil, p.Fault(i, "values", err)
		}
	}
	return all, nil
}

func (e *Entry) render(t *template.Template) error {
	values := map[string]string{"id": e.ID}
	for _, v := range e.Values {
		values[v.Name] = v.Value
	}
	var b limited
	if err := t.Execute(&b, values); err != nil {
		return fmt.Errorf("make its node.yaml: %w", err)
	}
	n, err := config.ParseNode("node.yaml of "+e.ID, b.Bytes())
	switch {
	case err != nil:
		return err
	case n.Node != e.ID:
		return fmt.Errorf("its node.yaml is of node %s", n.Node)
	case n.Machine == nil:
		return errors.New("its node.yaml has no machine section: it boots an image, and nobody else sets it up")
	}
	e.NodeYAML = b.String()
	// By these its admin interface is called.
	for _, list := range [][]config.Prefix{n.Machine.South.Addresses, n.Machine.Control.Addresses} {
		for _, a := range list {
			e.Addresses = append(e.Addresses, a.Addr().String())
		}
	}
	return nil
}

// limited is a buffer with an end.
type limited struct{ bytes.Buffer }

func (b *limited) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxNodeYAML {
		return 0, fmt.Errorf("it has more than %d bytes", maxNodeYAML)
	}
	return b.Buffer.Write(p)
}
