package initramfs

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/u-root/gobusybox/src/pkg/golang"
	"github.com/u-root/mkuimage/uimage"
	"github.com/u-root/uio/llog"
)

// Commands are the commands of u-root for the shell on the console, where an
// operator looks at a node that does not work.
var Commands = []string{
	"cat", "cp", "date", "dd", "df", "dmesg", "du", "echo", "find", "free", "gosh", "grep", "gzip", "head", "hexdump", "hostname", "id", "insmod", "ip",
	"kill", "ln", "ls", "lsmod", "mkdir", "more", "mount", "mv", "netstat", "pci", "pidof", "ping", "ps", "pwd", "readlink", "rm", "rmmod", "shasum", "sleep",
	"sort", "stty", "sync", "tail", "tar", "tee", "time", "touch", "true", "umount", "uname", "uniq", "uptime", "wc", "xargs",
}

const core = "github.com/u-root/u-root/cmds/core/"

// extra lie elsewhere in u-root.
var extra = []string{"github.com/u-root/u-root/cmds/exp/traceroute", "github.com/u-root/u-root/cmds/exp/watch"}

// BuildCommands compiles u-root's commands into one program and writes an archive
// with it and its links. Dir is that of our module, temp an empty folder.
func BuildCommands(dir, temp, output string) error {
	packages := slices.Clone(extra)
	for _, name := range Commands {
		packages = append(packages, core+name)
	}
	// The library takes the toolchain that compiled it, but what is built with
	// -trimpath does not know which that was.
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	part := output + ".part"
	err = uimage.Create(llog.Default(),
		uimage.WithEnv(
			golang.DisableCGO(), golang.WithGOOS("linux"), golang.WithGOARCH("amd64"), golang.WithWorkingDir(dir),
			golang.WithGOROOT(strings.TrimSpace(string(goroot))),
			golang.WithBuildTag("goshliner")), // line editing that a plain VT100 can show
		uimage.WithTempDir(temp),
		uimage.WithBusyboxCommands(packages...),
		uimage.WithShell("gosh"),
		uimage.WithCPIOOutput(part),
	)
	if err != nil {
		return fmt.Errorf("compile the commands of u-root: %w", err)
	}
	return os.Rename(part, output)
}

// LinkCommands makes the commands reachable in /bin as well.
func (a Archive) LinkCommands() {
	for _, name := range Commands {
		a.Link(filepath.Join("bin", name), "../bbin/bb")
	}
	for _, p := range extra {
		a.Link(filepath.Join("bin", path.Base(p)), "../bbin/bb")
	}
}

// Write writes the archive, sorted and with the folders that its files need.
func (a Archive) Write(temp, output string) error {
	return uimage.Create(llog.Default(),
		uimage.WithTempDir(temp),
		uimage.WithBaseArchive(a.Archive),
		uimage.WithExistingInit(true),
		uimage.WithCPIOOutput(output),
	)
}

// CommandsKey changes with the list of commands.
func CommandsKey() string { return strings.Join(append(slices.Clone(extra), Commands...), " ") }
