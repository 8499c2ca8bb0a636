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
		c, err := LoadCluster(m.ClusterFile)
		if err != nil {
			return kind, nil, err
		}
		if c.Server(m.Server) == nil {
			err = Errors{{File: path, Path: "server", Reason: fmt.Sprintf("%q is not in cluster %s", m.Server, c.Identity.Name), Remedy: "add it to the list servers of " + m.ClusterFile}}
		}
		return kind, c.Warnings, err
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
	}
	return KindCluster
}
