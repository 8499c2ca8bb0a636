package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/provisioning/enrolclient"
	"weir/provisioning/rig"
	"weir/services/api"
	"weir/services/identity"
)

func TestAServerEnrolsOnceAndIsTheServerOfItsFile(t *testing.T) {
	r := rig.New(t)
	r.Serve()
	authority := identity.AuthorityFingerprint(r.Authority.Certificate())
	dir := t.TempDir()
	file := filepath.Join(dir, "lbmodule.yaml")
	text := "server: srv1\nconfig_service: {addresses: [\"10.30.0.2:6092\"], ca: identity/ca.crt, cert: identity/machine.crt, key: identity/machine.key}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	enroll := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
		c := exec.Command(os.Args[0], append([]string{"enroll", "--config", file}, args...)...)
		c.Env = append(os.Environ(), asProgram+"=1")
		out := &bytes.Buffer{}
		c.Stdout, c.Stderr = out, out
		return c, out
	}
	if c, out := enroll(); c.Run() == nil || c.ProcessState.ExitCode() != 2 || !strings.Contains(out.String(), "--provision ADDRESS --authority FINGERPRINT") {
		t.Errorf("without arguments: %s", out)
	}
	told := []string{"--provision", r.Address, "--authority", strings.ToUpper(authority)}
	c, out := enroll(told...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	me, err := identity.Load(r.Operator())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:"+r.Address, grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Provisiond))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var pending string
	rig.Until(t, "it waits for approval", func() bool {
		list, err := api.NewProvisionClient(conn).Machines(t.Context(), &api.MachinesRequest{})
		if err == nil && len(list.List) == 1 {
			pending = list.List[0].Fingerprint
		}
		return pending != ""
	})
	if _, err := api.NewProvisionClient(conn).Approve(t.Context(), &api.ApproveRequest{Machine: pending, Role: "server", Id: "srv1"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), "this is server srv1 of cluster lab") || !regexp.MustCompile(`the fingerprint of this server's key is `+pending).MatchString(out.String()) {
		t.Errorf("%v: %s", err, out)
	}
	if c, out := enroll(told...); c.Run() != nil || strings.Contains(out.String(), "waiting") {
		t.Errorf("a second time: %s", out)
	}
	if got, err := identity.Load(enrolclient.Files(filepath.Join(dir, "identity"))); err != nil || got.Name.ID != "srv1" {
		t.Errorf("%v, %v", got, err)
	}
	// Another server's file, and files that enroll does not write.
	for change, want := range map[string]string{"srv1>srv2": "this machine was approved as server srv1 of cluster lab", "machine.crt>server.crt": "config_service names other files"} {
		from, to, _ := strings.Cut(change, ">")
		if err := os.WriteFile(file, []byte(strings.Replace(text, from, to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, out := enroll(told...); c.Run() == nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %s", change, out)
		}
	}
}
