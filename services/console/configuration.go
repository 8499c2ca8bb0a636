package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"weir/services/config"
	"weir/services/console/report"
)

// showConfig shows the configuration in force without secrets, where it comes
// from, or what is wrong with it.
func showConfig(s *session, ctx context.Context, args []string) error {
	switch strings.Join(args, " ") {
	case "":
		text, err := os.ReadFile(s.asker.ConfigFile())
		if err != nil {
			return fmt.Errorf("no configuration is in force; see: config errors")
		}
		plain, err := withoutSecrets(text)
		if err != nil {
			return err
		}
		return s.page(strings.Split(strings.TrimRight(plain, "\n"), "\n"))
	case "source":
		return s.configSource(ctx)
	case "errors":
		return s.configErrors(ctx)
	}
	return errUsage
}

func (s *session) configSource(ctx context.Context) error {
	f := s.gather(ctx)
	if f.Boot == nil {
		return f.BootErr
	}
	rows := [][]string{{"node.yaml", dash(report.Source(f.Boot.ConfigSource))}}
	if f.Boot.ConfigLastGood {
		rows[0][1] += " (it fails: the last good one is in force)"
	}
	if n := f.File; n != nil {
		if n.Service.InUse() {
			var all []string
			for _, a := range n.Service.Addresses {
				all = append(all, a.String())
			}
			rows = append(rows, []string{"cluster", "configuration service " + strings.Join(all, ", ")})
		} else {
			rows = append(rows, []string{"cluster", n.ClusterFile})
		}
	}
	if f.Node != nil {
		rows = append(rows, []string{"generation", dash(f.Node.Generation)})
	}
	return s.page(table(rows))
}

// configErrors tells what the boot phase, the file itself and the control plane complain of.
func (s *session) configErrors(ctx context.Context) error {
	f := s.gather(ctx)
	var out []string
	for _, p := range f.Boot.GetPhases() {
		if p.Name == "configuration" && p.Result != "ok" && p.Reason != "" {
			out = append(out, fmt.Sprintf("%s: %s", p.Result, p.Reason), "  -> "+p.Remedy)
		}
	}
	if f.Boot == nil {
		out = append(out, f.BootErr.Error())
	}
	if _, err := config.LoadNode(s.asker.ConfigFile()); err != nil {
		out = append(out, strings.Split(err.Error(), "\n")...)
	}
	if f.Node != nil && f.Node.ConfigError != "" {
		out = append(out, "cluster: "+f.Node.ConfigError)
	}
	if len(out) == 0 {
		out = []string{"no errors"}
	}
	return s.page(out)
}

const notShown = "(not shown)"

// withoutSecrets is a node.yaml with its secret values replaced.
func withoutSecrets(text []byte) (string, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return "", fmt.Errorf("the configuration cannot be shown: %w", err)
	}
	hide(&root)
	b, err := yaml.Marshal(&root)
	if err != nil {
		return "", fmt.Errorf("the configuration cannot be shown: %w", err)
	}
	return string(b), nil
}

// hide replaces the values of secret keys, and drops comments: they may quote one.
func hide(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for i, c := range n.Content {
		hide(c)
		if n.Kind == yaml.MappingNode && i%2 == 1 && secretKey(n.Content[i-1].Value) {
			n.Content[i] = &yaml.Node{Kind: yaml.ScalarNode, Value: notShown}
		}
	}
}

func secretKey(name string) bool {
	return strings.Contains(name, "password") || strings.Contains(name, "secret") || strings.Contains(name, "token")
}
