package config

import "net/netip"

// Configd is configd.yaml: one front-end of the configuration service. The
// cluster that it serves is named by its certificate.
type Configd struct {
	Listen   netip.AddrPort `yaml:"listen"`    // TCP, mutual TLS
	StateDir string         `yaml:"state_dir"` // of the embedded etcd
	CA       string         `yaml:"ca" need:"yes"`
	Cert     string         `yaml:"cert" need:"yes"`
	Key      string         `yaml:"key" need:"yes"`
	Revoked  string         `yaml:"revoked"` // list of revoked certificates, as provisiond writes it; empty: none
	Etcd     Etcd           `yaml:"etcd"`    // an external cluster instead of the embedded one
}

// Etcd is an external etcd cluster. Without CA its connections are not encrypted.
type Etcd struct {
	Endpoints []string `yaml:"endpoints" need:"yes"` // such as https://10.30.0.11:2379
	CA        string   `yaml:"ca"`
	Cert      string   `yaml:"cert"`
	Key       string   `yaml:"key"`
}

// External reports whether the store is not our own.
func (e *Etcd) External() bool { return len(e.Endpoints) > 0 }

// ConfigPort is where the configuration service listens (TCP).
const ConfigPort = 6092

func (c *Configd) defaults() {
	c.Listen, c.StateDir = netip.AddrPortFrom(netip.IPv6Unspecified(), ConfigPort), "/var/lib/weir/configd"
}

// LoadConfigd reads and validates a configd.yaml.
func LoadConfigd(path string) (*Configd, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	c, err := ParseConfigd(path, b)
	if err != nil {
		return nil, err
	}
	for _, p := range []*string{&c.StateDir, &c.CA, &c.Cert, &c.Key, &c.Revoked, &c.Etcd.CA, &c.Etcd.Cert, &c.Etcd.Key} {
		if *p != "" {
			*p = relativeTo(path, *p)
		}
	}
	return c, nil
}

// ParseConfigd validates the text of a configd.yaml; file is its name in errors.
func ParseConfigd(file string, text []byte) (*Configd, error) {
	c := &Configd{}
	d := decode(file, text, c)
	if len(d.errs) == 0 {
		c.validate(d)
	}
	if err := d.errs.sorted(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Configd) validate(d *document) {
	d.notEmpty("state_dir", c.StateDir)
	d.notEmpty("ca", c.CA)
	d.notEmpty("cert", c.Cert)
	d.notEmpty("key", c.Key)
	if _, ok := d.lines["etcd"]; !ok {
		return
	}
	if len(c.Etcd.Endpoints) == 0 {
		d.fail("etcd.endpoints", "add the addresses of its members, or remove etcd to use the embedded one", "no endpoints")
	}
	if (c.Etcd.Cert == "") != (c.Etcd.Key == "") || c.Etcd.CA == "" && c.Etcd.Cert != "" {
		d.fail("etcd", "give ca, and cert and key both or neither", "ca, cert and key do not go together")
	}
}
