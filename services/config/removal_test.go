package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestARemovalOfAThirdIsNoticed(t *testing.T) {
	members := func(numbers ...uint16) (list []Member) {
		for _, n := range numbers {
			list = append(list, Member{ID: "lb" + string(rune('0'+n)), Number: n})
		}
		return list
	}
	four := &Cluster{Nodes: members(1, 2, 3, 4), Servers: []Server{{ID: "a", Number: 1}, {ID: "b", Number: 2}, {ID: "c", Number: 3}}}
	renumbered := &Cluster{Nodes: members(1, 2, 3, 4), Servers: []Server{{ID: "a", Number: 1}, {ID: "b", Number: 2}, {ID: "c", Number: 4}}}
	for name, c := range map[string]struct {
		new  *Cluster
		want string
	}{
		"none":           {four, ""},
		"one of four":    {&Cluster{Nodes: members(1, 2, 3), Servers: four.Servers}, ""},
		"two of four":    {&Cluster{Nodes: members(1, 2, 5, 6), Servers: four.Servers}, "it removes 2 of 4 nodes: lb3, lb4"},
		"a server of 3":  {&Cluster{Nodes: four.Nodes, Servers: four.Servers[:2]}, "it removes 1 of 3 servers: c"},
		"another number": {renumbered, "it removes 1 of 3 servers: c"},
	} {
		got := ""
		if err := Removal(four, c.new); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestServersAreNotToldPasswords(t *testing.T) {
	b, err := os.ReadFile("testdata/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := WithoutPasswords(string(b))
	if err != nil || strings.Contains(text, "not for logs") {
		t.Fatalf("%v\n%s", err, text)
	}
	full, err := ParseCluster("c", b)
	if err != nil {
		t.Fatal(err)
	}
	less, err := ParseCluster("c", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	full.Routers[0].Password = ""
	if !reflect.DeepEqual(full, less) {
		t.Errorf("more than the password changed:\n%+v\n%+v", full, less)
	}
	if same, err := WithoutPasswords(text); same != text || err != nil {
		t.Errorf("without passwords nothing changes: %v", err)
	}
}
