package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/firmware/repository"
	"weir/firmware/rig"
)

// weir runs one command line at the time of the rig.
func weir(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = execute(args, &o, &e, rig.Now)
	return code, o.String(), e.String()
}

// does wants success.
func does(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := weir(args...)
	if code != 0 {
		t.Fatalf("weir-bundle %s: exit code %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// fails wants an exit code and words.
func fails(t *testing.T, code int, words string, args ...string) {
	t.Helper()
	got, out, errs := weir(args...)
	if got != code || !strings.Contains(errs, words) {
		t.Errorf("weir-bundle %s: exit code %d, want %d with %q: %s%s", strings.Join(args, " "), got, code, words, errs, out)
	}
}

func TestVerifyRefusesWhatANodeRefuses(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	good := r.Bundle("0.1.0")
	if out := does(t, "verify", good, "--root", r.Keys.RootFile()); !strings.Contains(out, "verified: a node with this root takes version 0.1.0") {
		t.Error(out)
	}
	for _, c := range r.Refused() {
		fails(t, 1, "refused ("+string(c.Reason)+")", "verify", c.Path, "--root", r.Keys.RootFile())
		fails(t, 1, c.Words, "verify", c.Path, "--root", r.Keys.RootFile(), "-o", "json")
	}
	other := rig.New(t)
	fails(t, 1, "refused (too-few-keys)", "verify", good, "--root", other.Keys.RootFile())
}

func TestBadArgumentsEndWithTwo(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"nonsense"}, {"key", "nonsense"}, {"key", "new"}, {"sign", "x"}, {"sign"}, {"publish"}, {"verify", "x"}, {"merge", "x"}, {"--nonsense"},
		{"status", "-o", "xml", "-r", dir}, {"targets", "add", "--days", "0"}, {"root", "new", "--days", "0", "-r", dir}, {"inspect"}, {"secureboot", "enrol"},
	} {
		if code, out, errs := weir(args...); code != 2 || out != "" || !strings.HasPrefix(errs, "weir-bundle: ") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	for _, c := range newRoot(rig.Now).Commands() {
		for _, c := range append(c.Commands(), c) {
			if c.Name() == "help" || c.Name() == "version" || c.HasSubCommands() {
				continue
			}
			if c.Short == "" || !strings.Contains(c.Example, "  weir-bundle ") {
				t.Errorf("%s has no example", c.CommandPath())
			}
		}
	}
	if out := does(t, "--help"); !strings.Contains(out, "Exit codes: 0 done, 1 failed or refused, 2 bad arguments") {
		t.Error(out)
	}
}

// A repository whose root wants two of alice, bob and carol, for everything.
func ceremony(t *testing.T) (dir, keys string) {
	t.Helper()
	dir, keys = filepath.Join(t.TempDir(), "repository"), t.TempDir()
	for _, name := range []string{"alice", "bob", "carol", "mallory", "online"} {
		does(t, "key", "new", filepath.Join(keys, name))
	}
	three := keys + "/alice.pub," + keys + "/bob.pub," + keys + "/carol.pub"
	does(t, "-r", dir, "root", "new", "--root-keys", three, "--root-threshold", "2", "--targets-keys", three, "--targets-threshold", "2", "--online-key", keys+"/online.pub")
	return dir, keys
}

func TestNothingIsPublishedThatTooFewHaveSigned(t *testing.T) {
	dir, keys := ceremony(t)
	publish := []string{"-r", dir, "publish", "--online-key", keys + "/online.key"}
	sign := func(file, who string) {
		does(t, "sign", filepath.Join(dir, "staged", file), "--key", keys+"/"+who+".key")
	}
	fails(t, 1, "sign it with more of them", publish...)
	sign("1.root.json", "alice")
	sign("1.root.json", "alice")   // twice counts once
	sign("1.root.json", "mallory") // and a stranger not at all
	fails(t, 1, "sign it with more of them", publish...)
	if _, err := os.Stat(filepath.Join(dir, "metadata")); err == nil {
		t.Error("something was published")
	}
	if out := does(t, "-r", dir, "status"); !strings.Contains(out, "staged/1.root.json") {
		t.Error(out)
	}
	sign("1.root.json", "bob")
	fails(t, 1, "is not the online key of root 1", "-r", dir, "publish", "--online-key", keys+"/mallory.key")
	does(t, publish...)
	fails(t, 1, "has a root already", "-r", dir, "root", "new")
	fails(t, 1, "has no release", publish...)

	does(t, "-r", dir, "targets", "add", "--image", rig.Image(t, "1.0.0", ""), "--floor", "1.0.0")
	sign("1.targets.json", "carol")
	fails(t, 1, "1.targets.json", publish...)
	sign("1.targets.json", "bob")
	does(t, publish...)
	fails(t, 1, "the floor is 1.0.0 already", "-r", dir, "targets", "add", "--image", rig.Image(t, "1.1.0", ""), "--floor", "0.9.0")
	fails(t, 1, "above the release itself", "-r", dir, "targets", "add", "--image", rig.Image(t, "1.1.0", ""), "--floor", "1.2.0")
	fails(t, 1, "has no release 7.0.0", "-r", dir, "targets", "remove", "7.0.0")
}

func TestASignatureIsOfOneContentsOnly(t *testing.T) {
	dir, keys := ceremony(t)
	staged := filepath.Join(dir, "staged", "1.root.json")
	text, err := os.ReadFile(staged)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "1.root.json")
	if err := os.WriteFile(other, []byte(strings.Replace(string(text), `"threshold": 2`, `"threshold": 1`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	does(t, "sign", other, "--key", keys+"/alice.key,"+keys+"/bob.key")
	fails(t, 1, "says something else than", "merge", staged, other)
	fails(t, 1, "not metadata", "sign", keys+"/alice.pub", "--key", keys+"/alice.key")
	fails(t, 1, "no private key in it", "sign", staged, "--key", keys+"/alice.pub")
	fails(t, 1, "make a key", "key", "new", keys+"/alice")
}

func TestAStolenKeyIsWorthNothingOnceItIsReplaced(t *testing.T) {
	dir, keys := ceremony(t)
	sign := func(file string, who ...string) {
		for _, w := range who {
			does(t, "sign", filepath.Join(dir, "staged", file), "--key", keys+"/"+w+".key")
		}
	}
	publish := []string{"-r", dir, "publish", "--online-key", keys + "/online.key"}
	sign("1.root.json", "alice", "bob")
	does(t, "-r", dir, "targets", "add", "--image", rig.Image(t, "1.0.0", ""))
	sign("1.targets.json", "bob", "carol")
	does(t, publish...)

	does(t, "key", "new", keys+"/dave")
	left := keys + "/alice.pub," + keys + "/carol.pub," + keys + "/dave.pub"
	does(t, "-r", dir, "root", "next", "--root-keys", left, "--targets-keys", left)
	sign("2.root.json", "bob", "dave") // bob counts for the old root, dave for the new one
	fails(t, 1, "by the keys of the root before it", publish...)
	sign("2.root.json", "alice")
	fails(t, 1, "stage the next with weir-bundle targets renew", publish...) // bob has signed the targets
	does(t, "-r", dir, "targets", "renew")
	sign("2.targets.json", "alice", "dave")
	does(t, publish...)

	does(t, "-r", dir, "targets", "add", "--image", rig.Image(t, "1.0.1", ""))
	sign("3.targets.json", "bob", "carol")
	fails(t, 1, "3.targets.json", publish...)
	root := filepath.Join(dir, "metadata/1.root.json") // of a node that has seen nothing since
	does(t, "verify", dir, "--root", root)
}

func TestAnImageThatTrustsAnotherRootIsNotReleased(t *testing.T) {
	w := newTree(t)
	w.make("make bundle")
	r := &repository.Repository{Dir: w.path("elsewhere")}
	other := repository.Development{Dir: w.path("other")}
	if _, err := other.Create(rig.Now); err != nil {
		t.Fatal(err)
	}
	_, err := other.Release(r, w.path("build/image"), "", rig.Now)
	if err == nil || !strings.Contains(err.Error(), "build it with make image TRUST=") {
		t.Errorf("got %v", err)
	}
}
