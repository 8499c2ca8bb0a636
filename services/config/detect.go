package config

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// Kinds of configuration files.
const (
	KindNode    = "node"
	KindCluster = "cluster"
	KindModule  = "module"
	KindConfigd = "configd"

	KindProvisiond = "provisiond"
)

// Check validates a file of any kind, and the files that it names. It tells
// the kind by the keys at the top.
func Check(path string) (kind string, warnings []string, err error) {
	b, err := readFile(path)
	if err != nil {
		return "", nil, err
	}
	switch kind = kindOf(b); kind {
	case KindNode:
		n, err := LoadNode(path)
		if err != nil {
			return kind, nil, err
		}
		if n.Service.InUse() {
			return kind, nil, nil // what it gives can be asked of it only
		}
		c, err := LoadCluster(n.ClusterFile)
		if err != nil {
			return kind, nil, err
		}
		if c.Member(n.Node) == nil {
			err = Errors{{File: path, Path: "node", Reason: fmt.Sprintf("%q is not in cluster %s", n.Node, c.Identity.Name), Remedy: "add it to the list nodes of " + n.ClusterFile}}
		}
		return kind, c.Warnings, err
	case KindModule:
		m, err := LoadModule(path)
		if err != nil {
			return kind, nil, err
		}
		if m.Service.InUse() {
			return kind, nil, nil
		}
		c, err := LoadCluster(m.ClusterFile)
		if err != nil {
			return kind, nil, err
		}
		if c.Server(m.Server) == nil {
			err = Errors{{File: path, Path: "server", Reason: fmt.Sprintf("%q is not in cluster %s", m.Server, c.Identity.Name), Remedy: "add it to the list servers of " + m.ClusterFile}}
		}
		return kind, c.Warnings, err
	case KindConfigd:
		_, err := LoadConfigd(path)
		return kind, nil, err
	case KindProvisiond:
		_, err := LoadProvisiond(path)
		return kind, nil, err
	}
	if c, err := ParseCluster(path, b); err == nil && c.KeyFile == "" {
		return KindCluster, []string{path + ": without key_file it is for the configuration service only"}, nil
	}
	c, err := LoadCluster(path)
	if err != nil {
		return KindCluster, nil, err
	}
	return KindCluster, c.Warnings, nil
}

// kindOf guesses a file's kind; what cannot be read is taken for a cluster
// file, whose loader then says what is wrong with it.
func kindOf(b []byte) string {
	var root yaml.Node
	if yaml.Unmarshal(b, &root) != nil || len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return KindCluster
	}
	var keys []string
	for i := 0; i < len(root.Content[0].Content); i += 2 {
		keys = append(keys, root.Content[0].Content[i].Value)
	}
	has := func(k string) bool { return slices.Contains(keys, k) }
	switch {
	case has("cluster") || has("nodes") || has("endpoints"):
		return KindCluster
	case has("node") || has("dataplane"):
		return KindNode
	case has("server"):
		return KindModule
	case has("authority") || has("images"):
		return KindProvisiond
	case has("listen") || has("etcd") || has("cert"):
		return KindConfigd
	}
	return KindCluster
}
