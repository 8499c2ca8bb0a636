// Package nodeconfig gets the node's configuration (the phase "configuration"):
// from the source that the boot command line names, or the last one that worked.
package nodeconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"weir/init/cmdline"
	"weir/init/phase"
	"weir/services/config"
)

// Places of configurations.
const (
	onDisk   = "/var/lib/weir/node.yaml"
	lastGood = "/var/lib/weir/node.yaml.last-good" // kept by noded once it serves
	builtIn  = "/etc/weir/node.yaml"
)

// maxSize bounds a configuration's text, in bytes.
const maxSize = 1 << 20

// Loader reads configurations.
type Loader struct {
	Root  string // "" on a machine, a folder in a test
	Fetch func(ctx context.Context, url string) ([]byte, error)
}

// Loaded is a valid configuration.
type Loaded struct {
	Node     *config.Node
	Text     []byte
	Source   string // "disk", "built in", a path or URL
	LastGood bool   // the source failed: this is the last one that worked
}

// Load reads the source, and the last configuration that worked if that fails.
func (l *Loader) Load(ctx context.Context, from cmdline.Source) (*Loaded, phase.Outcome) {
	source, remedy, text, err := l.read(ctx, from)
	if err != nil {
		return l.LastGood(source, remedy, err)
	}
	return l.Take(source, "correct it (weirctl check shows every mistake), and reboot", text)
}

// Take takes a text that came from a source, and the last configuration that
// worked if it is wrong.
func (l *Loader) Take(source, remedy string, text []byte) (*Loaded, phase.Outcome) {
	n, err := parse(file(source), text)
	if err != nil {
		return l.LastGood(source, remedy, err)
	}
	return &Loaded{n, text, source, false}, phase.Detail("%s, node %s", source, n.Node)
}

// LastGood takes the last configuration that worked, as the source failed with
// an error that has that remedy.
func (l *Loader) LastGood(source, remedy string, failed error) (*Loaded, phase.Outcome) {
	text, err := l.file(lastGood)
	var n *config.Node
	if err == nil {
		n, err = parse(lastGood, text)
	}
	switch {
	case err == nil:
		return &Loaded{n, text, source, true}, phase.Degrade(remedy, "%v; the last good configuration is used instead", failed)
	case errors.Is(err, os.ErrNotExist):
		return nil, phase.Fail(remedy, "%v", failed)
	}
	return nil, phase.Fail(remedy, "%v; and %v", failed, err)
}

// read gives the text, what its source is called, and what to do if there is none.
func (l *Loader) read(ctx context.Context, from cmdline.Source) (source, remedy string, text []byte, err error) {
	source = from.String()
	switch from.Kind {
	case cmdline.URL:
		text, err = l.Fetch(ctx, from.Location)
		return source, "look whether the control network and the server of weir.config are up, and reboot", text, err
	case cmdline.File:
		text, err = l.file(from.Location)
		return source, "correct weir.config on the boot command line", text, err
	case cmdline.BuiltIn:
		text, err = l.file(builtIn)
		return source, "boot an image with a configuration, or correct weir.config on the boot command line", text, err
	}
	text, err = l.file(onDisk)
	if errors.Is(err, os.ErrNotExist) && from.Kind == cmdline.Anywhere {
		if text, err = l.file(builtIn); err == nil {
			return cmdline.Source{Kind: cmdline.BuiltIn}.String(), "", text, nil
		}
		if errors.Is(err, os.ErrNotExist) {
			err = errors.New("there is no node.yaml on the state partition, none in the image, and no weir.config= on the boot command line")
		}
	}
	return source, "put node.yaml onto the state partition, or name it on the boot command line: weir.config=URL; then reboot", text, err
}

func (l *Loader) file(path string) ([]byte, error) {
	info, err := os.Stat(filepath.Join(l.Root, path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Unwrap(err))
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("%s has %d bytes: that is no configuration", path, info.Size())
	}
	return os.ReadFile(filepath.Join(l.Root, path))
}

// file is what errors call the source.
func file(source string) string {
	switch source {
	case cmdline.Source{Kind: cmdline.Disk}.String():
		return onDisk
	case cmdline.Source{Kind: cmdline.BuiltIn}.String():
		return builtIn
	}
	return source
}

// parse validates strictly. A node.yaml for somebody else's machine is refused.
func parse(source string, text []byte) (*config.Node, error) {
	n, err := config.ParseNode(source, text)
	if err != nil {
		return nil, err
	}
	if n.Machine == nil {
		return nil, fmt.Errorf("%s: machine: is missing: it has the addresses and NICs of this node", source)
	}
	return n, nil
}
