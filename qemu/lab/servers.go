package lab

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"weir/qemu/topology"
)

// nginxPath is where Debian puts it.
const nginxPath = "/usr/sbin/nginx"

// contentSeed makes the files that the servers serve the same in every lab.
const contentSeed = "weir lab content, version 1 ....."

// Files lists what web serves, with sizes in bytes.
var Files = map[string]int{"1k": 1 << 10, "1m": 1 << 20, "100m": 100 << 20}

// wwwDir holds the one copy of the content that all servers share.
func (l *Lab) wwwDir() string { return filepath.Join(l.Dir, "www") }

// makeContent writes the files once; later labs find them there.
func (l *Lab) makeContent() error {
	if err := os.MkdirAll(l.wwwDir(), 0o755); err != nil {
		return fmt.Errorf("make content: %w", err)
	}
	for name, size := range Files {
		path := filepath.Join(l.wwwDir(), name)
		if st, err := os.Stat(path); err == nil && st.Size() == int64(size) {
			continue
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make content: %w", err)
		}
		if err := os.WriteFile(path+".new", Content(name), 0o644); err != nil {
			return fmt.Errorf("make content: %w", err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return fmt.Errorf("make content: %w", err)
		}
	}
	return nil
}

// Content is what the file of that name holds: pseudo-random bytes.
func Content(name string) []byte {
	random := rand.NewChaCha8([32]byte([]byte(contentSeed)[:32]))
	b := make([]byte, Files[name])
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], random.Uint64())
	}
	return b
}

// Digest is the SHA-256 of the file of that name, in hexadecimal.
func Digest(name string) string {
	sum := sha256.Sum256(Content(name))
	return hex.EncodeToString(sum[:])
}

// startServer starts nginx in a server's namespace and control group.
func (l *Lab) startServer(s topology.Server) (*running, error) {
	dir := l.machineDir(s.ID)
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return nil, fmt.Errorf("prepare nginx: %w", err)
	}
	text, err := l.Top.NginxConf(s, l.serverPaths(s))
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := writeFile(conf, text); err != nil {
		return nil, err
	}
	group := cgroupOf(s)
	if err := group.make(); err != nil {
		return nil, err
	}
	return l.start(program{machine: s.ID, name: "nginx", namespace: s.Namespace, cgroup: group,
		argv: []string{nginxPath, "-e", filepath.Join(dir, "error.log"), "-c", conf}})
}

func (l *Lab) serverPaths(s topology.Server) topology.ServerPaths {
	dir := l.machineDir(s.ID)
	return topology.ServerPaths{
		Run:    filepath.Join(dir, "run"),
		State:  filepath.Join(dir, "state"),
		Pins:   filepath.Join(PinsDir, s.ID),
		CGroup: cgroupOf(s).Dir(),
		Dir:    dir,
		WWW:    l.wwwDir(),
	}
}
