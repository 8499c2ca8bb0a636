package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// LoadCluster reads and validates a cluster.yaml and its key file.
func LoadCluster(path string) (*Cluster, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	c, d := parseCluster(path, b)
	if len(d.errs) == 0 && c.KeyFile == "" {
		d.fail("key_file", "add the key; only the configuration service can do without", "is missing")
	}
	if err := d.errs.sorted(); err != nil {
		return nil, err
	}
	c.KeyFile = relativeTo(path, c.KeyFile)
	key, err := readKey(c.KeyFile)
	if err != nil {
		remedy := "write 64 hexadecimal digits to it: openssl rand -hex 32"
		if errors.Is(err, fs.ErrPermission) {
			remedy = "run as root"
		}
		d.fail("key_file", remedy, "%s", err)
		return nil, d.errs
	}
	c.Keys = soleKey(key)
	c.warn(c.KeyFile, "it holds the cluster's key")
	for _, r := range c.Routers {
		if r.Password != "" {
			c.warn(path, "it holds a router's password")
			break
		}
	}
	return c, nil
}

// ParseCluster validates the text of a cluster.yaml; file is its name in
// errors. The key file is not read: Key stays zero.
func ParseCluster(file string, text []byte) (*Cluster, error) {
	c, d := parseCluster(file, text)
	if err := d.errs.sorted(); err != nil {
		return nil, err
	}
	return c, nil
}

func parseCluster(file string, text []byte) (*Cluster, *document) {
	c := &Cluster{}
	d := decode(file, text, c)
	if len(d.errs) == 0 {
		c.validate(d)
	}
	return c, d
}

// warn notes a file with secrets that others than its owner can read.
func (c *Cluster) warn(path, why string) {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return
	}
	c.Warnings = append(c.Warnings, fmt.Sprintf("%s: others than its owner can use this file, and %s; chmod 600 %s", path, why, path))
}

func readKey(path string) (Key, error) {
	var k Key
	b, err := readFile(path)
	if err != nil {
		return k, err
	}
	digits := strings.TrimSpace(string(b))
	// The digits are never part of the message: it ends in logs.
	if len(digits) != 2*len(k) {
		return k, fmt.Errorf("%s has %d characters where a key has %d", path, len(digits), 2*len(k))
	}
	if _, err := hex.Decode(k[:], []byte(digits)); err != nil {
		return Key{}, fmt.Errorf("%s holds something else than hexadecimal digits", path)
	}
	if k == (Key{}) {
		return k, fmt.Errorf("%s holds only zeros", path)
	}
	return k, nil
}
