package boottest

import (
	"net"
	"net/http"
	"testing"
)

func TestAMalformedConfigurationIsRefusedWithLineAndRemedy(t *testing.T) {
	c := good(t, freePort(t)).edit(t, "memory: 64MiB", "memroy: 64MiB")
	n := switchOn(t, machine(t, stateDisk(t, c.files())))
	n.wants("configuration", "failed", bootPatience, "node.yaml:4|memroy", "")
	n.eventuallySays("config errors", "node.yaml:4|memroy", patience)
	n.fine(patience, "mounts", "modules", "identity", "state")
}

func TestWithALastGoodConfigurationAMalformedOneDoesNotStopTheNode(t *testing.T) {
	r := startRouter(t)
	c := good(t, r.port)
	files := c.edit(t, "memory: 64MiB", "memory: plenty").files()
	files["node.yaml.last-good"] = c.node
	n := switchOn(t, machine(t, stateDisk(t, files)))
	n.wants("configuration", "degraded", bootPatience, "node.yaml:4|plenty|last good", "")
	n.fine(patience, "nics", "services")
	n.serves(r)
}

func TestANodeWithoutAnyConfigurationSaysWhereToPutOne(t *testing.T) {
	n := switchOn(t, machine(t, stateDisk(t, nil)))
	n.wants("configuration", "failed", bootPatience, "node.yaml", "weir.config=")
}

func TestANodeFetchesItsConfigurationFromWhereItsCommandLineSays(t *testing.T) {
	r := startRouter(t)
	c := good(t, r.port)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(c.node)) })}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	files := c.files()
	delete(files, "node.yaml")
	disk := stateDisk(t, files)
	m := machine(t, disk)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	m.Boot.Cmdline += " weir.config=http://10.30.0.2:" + port + "/node.yaml"
	n := switchOn(t, m)
	n.fine(bootPatience, phases...)
	n.serves(r)
	n.switchOff()
	if text, _ := fileOn(t, disk, "node.yaml.last-good"); text != c.node {
		t.Errorf("the last good configuration on the disk is\n%s", text)
	}
	// The server is gone at the next boot.
	server.Close()
	n = switchOn(t, m)
	n.wants("configuration", "degraded", bootPatience, "10.30.0.2:"+port+"|last good", "")
	n.serves(r)
}
