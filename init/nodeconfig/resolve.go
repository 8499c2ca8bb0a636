package nodeconfig

import (
	"fmt"
	"path/filepath"

	"gopkg.in/yaml.v3"

	"weir/services/config"
)

// Resolved is the text of the configuration for the services: paths are
// absolute, and NICs are named by PCI address. PCI maps devices as node.yaml
// names them; one that is not in it stays as it is.
func Resolved(text []byte, pci map[string]string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) != 1 {
		return nil, fmt.Errorf("resolve the configuration: %w", err)
	}
	root := doc.Content[0]
	for _, path := range [][]string{{"cluster_file"}, {"run_dir"}, {"state_dir"},
		{"config_service", "ca"}, {"config_service", "cert"}, {"config_service", "key"}} {
		if v := value(root, path...); v != nil && v.Value != "" && !filepath.IsAbs(v.Value) {
			v.Value = filepath.Join(filepath.Dir(onDisk), v.Value)
		}
	}
	for _, side := range []string{"north", "south"} {
		if v := value(root, "dataplane", side, "device"); v != nil && pci[v.Value] != "" {
			v.Value = config.DevicePCI + ":" + pci[v.Value]
		}
	}
	return yaml.Marshal(&doc)
}

// value is the scalar at a path of keys, or nil.
func value(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		if next == nil {
			return nil
		}
		if n = next; n.Kind == yaml.AliasNode {
			n = n.Alias
		}
	}
	if n.Kind != yaml.ScalarNode {
		return nil
	}
	return n
}
