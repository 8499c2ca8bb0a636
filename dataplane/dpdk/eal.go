package dpdk

/*
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <rte_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_lcore.h>
#include <rte_version.h>

static FILE *weir_log_to(int fd)
{
	FILE *f = fdopen(fd, "w");
	if (f == NULL)
		return NULL;
	setvbuf(f, NULL, _IOLBF, 0);
	rte_openlog_stream(f);
	return f;
}

static void weir_log_close(FILE *f)
{
	rte_openlog_stream(NULL);
	fclose(f);
}
*/
import "C"

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// EAL says how to start DPDK's environment. One per process.
type EAL struct {
	FilePrefix string   // tells this process from others on the machine
	MemoryMiB  int      // reserved at start
	NoHuge     bool     // ordinary memory instead of huge pages: tests, and machines without them
	NUMA       int      // node that memory is reserved on; AnyNUMA: any
	PCI        []string // addresses to drive; none: the PCI bus is left alone
	Log        func(line string)
}

// AnyNUMA says that it does not matter on which NUMA node something is (SOCKET_ID_ANY).
const AnyNUMA = -1

var (
	ealOnce sync.Once
	errOnce = errors.New("the DPDK environment is started once per process")
)

// Init starts the environment. The calling goroutine is locked to its thread
// during the call. No thread is pinned: whoever runs a stage decides that.
func Init(o EAL) error {
	err := errOnce
	ealOnce.Do(func() { err = initEAL(o) })
	return err
}

func initEAL(o EAL) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	args, err := o.args()
	if err != nil {
		return err
	}
	log, err := captureLog(o.Log)
	if err != nil {
		return err
	}
	argv := make([]*C.char, len(args)+1)
	for i, a := range args {
		argv[i] = C.CString(a) // EAL keeps these for the life of the process
	}
	if n := C.rte_eal_init(C.int(len(args)), &argv[0]); n < 0 {
		err := rteError()
		removeRuntimeDir(runtimeDir())
		return fmt.Errorf("start DPDK: %w (%s)", err, log.close())
	}
	return nil
}

// args is the command line EAL gets. One lcore floats over every CPU this
// process may use: the engine's threads register themselves and pin
// themselves, or do not when several nodes share two cores.
func (o EAL) args() ([]string, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read cpu affinity: %w", err)
	}
	var cpus []string
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cpus = append(cpus, strconv.Itoa(i))
		}
	}
	a := []string{"dataplane", "--no-telemetry", "--lcores", "0@(" + strings.Join(cpus, ",") + ")",
		"--file-prefix", o.FilePrefix}
	if o.NUMA == AnyNUMA || o.NoHuge {
		a = append(a, "-m", strconv.Itoa(o.MemoryMiB))
	} else { // a list, one amount per node
		a = append(a, "--socket-mem", strings.Repeat("0,", o.NUMA)+strconv.Itoa(o.MemoryMiB))
	}
	if o.NoHuge {
		a = append(a, "--no-huge", "--no-shconf") // EAL refuses --in-memory together with --no-huge
	} else {
		a = append(a, "--in-memory")
	}
	if len(o.PCI) == 0 {
		a = append(a, "--no-pci", "--iova-mode=va")
	}
	for _, p := range o.PCI {
		a = append(a, "-a", p)
	}
	return a, nil
}

// logCapture is where DPDK's log goes instead of to stderr and syslog.
type logCapture struct {
	stream *C.FILE
	done   chan struct{} // closed when every line was read
	last   []string      // the last lines, which say why a start failed
}

func captureLog(fn func(string)) (*logCapture, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("pipe for DPDK's log: %w", err)
	}
	l := &logCapture{stream: C.weir_log_to(C.int(p[1])), done: make(chan struct{})}
	if l.stream == nil {
		return nil, errors.New("open DPDK's log stream")
	}
	go l.read(os.NewFile(uintptr(p[0]), "dpdk-log"), fn)
	return l, nil
}

func (l *logCapture) read(r io.ReadCloser, fn func(string)) {
	defer close(l.done)
	defer r.Close()
	const keep = 3
	for s := bufio.NewScanner(r); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" {
			continue
		}
		l.last = append(l.last[max(0, len(l.last)-keep+1):], line)
		if fn != nil {
			fn(line)
		}
	}
}

// close ends the capture and returns the last lines.
func (l *logCapture) close() string {
	C.weir_log_close(l.stream)
	<-l.done
	return strings.Join(l.last, "; ")
}

// Cleanup releases what Init took. Ports must be closed before.
func Cleanup() error {
	dir := runtimeDir()
	if n := C.rte_eal_cleanup(); n < 0 {
		return fmt.Errorf("stop DPDK: %w", syscall.Errno(-n))
	}
	removeRuntimeDir(dir)
	return nil
}

func runtimeDir() string { return C.GoString(C.rte_eal_get_runtime_dir()) }

// removeRuntimeDir removes what EAL makes even for a process that shares
// nothing, and the folder above once no other process has one in it.
func removeRuntimeDir(dir string) {
	if filepath.Base(filepath.Dir(dir)) != "dpdk" {
		return // EAL did not get as far as naming it
	}
	os.RemoveAll(dir)
	os.Remove(filepath.Dir(dir))
}

// RegisterThread makes the calling thread (locked by the caller) one that DPDK
// knows, with its own mempool caches.
func RegisterThread() error {
	if C.rte_thread_register() < 0 {
		return fmt.Errorf("register a thread with DPDK: %w", rteError())
	}
	return nil
}

// UnregisterThread undoes RegisterThread and gives the thread's cached frames back.
func UnregisterThread() { C.rte_thread_unregister() }
