package config

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// WithoutPasswords is the text of a valid cluster file without the routers'
// passwords: servers have no use for them.
func WithoutPasswords(text string) (string, error) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil || len(root.Content) != 1 {
		return "", fmt.Errorf("take the passwords out of the cluster file: %w", err)
	}
	found := false
	for _, router := range entry(root.Content[0], "routers").Content {
		for i := 0; i+1 < len(router.Content); i += 2 {
			if router.Content[i].Value == "password" {
				router.Content = append(router.Content[:i], router.Content[i+2:]...)
				found = true
				break
			}
		}
	}
	if !found {
		return text, nil
	}
	b, err := yaml.Marshal(&root)
	if err != nil {
		return "", fmt.Errorf("take the passwords out of the cluster file: %w", err)
	}
	return string(b), nil
}

// entry is the value of a key of a mapping; an empty node if there is none.
func entry(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return &yaml.Node{}
}
