// Package facts gathers what the console shows: it asks init, the control plane,
// the dataplane and updated over their sockets, each for as long as it takes to see that
// it does not answer. Whatever is missing is missing with a reason.
package facts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/config"
)

const (
	// answerTime is how long all programs together may take to answer: on a
	// machine that is out of breath they do so late.
	answerTime = 5 * time.Second
	// errorsEvery is how often logs are searched, which is the most work.
	errorsEvery = 10 * time.Second
)

// Facts are what was known at one moment. A part that is nil has its error.
type Facts struct {
	At           time.Time
	Uptime       time.Duration // since the kernel started
	Boot         *api.BootStatus
	Services     []*api.Service
	BootErr      error // of Boot and Services
	Node         *api.NodeStatus
	NodeErr      error
	Dataplane    *api.DataplaneStatus
	DataplaneErr error
	Update       *api.UpdateStatus
	UpdateErr    error
	File         *config.Node // the configuration in force
	FileErr      error
	Links        []Link // of the kernel
	Errors       []LoggedError
	Before       *Facts // the facts before these, for rates; they have none
}

// LoggedError is a warning or an error from a log.
type LoggedError struct {
	Source  string
	Seconds float64 // since the kernel started
	Text    string
}

// Asker asks. It is safe for one goroutine.
type Asker struct {
	runDir    string
	root      string // of /sys and /proc
	conns     []*grpc.ClientConn
	Machine   api.MachineClient
	Admin     api.AdminClient
	Dataplane api.DataplaneClient
	Update    api.UpdateClient
	last      *Facts
	searched  time.Time // when the logs were
}

// Names of the sockets in the run directory.
const (
	initSocket      = "init.sock"
	nodedSocket     = "noded.sock"
	dataplaneSocket = "dataplane.sock"
	updatedSocket   = "updated.sock"
)

// New prepares to ask the programs whose sockets are in runDir, and the kernel
// whose /sys and /proc are in root.
func New(runDir, root string) (*Asker, error) {
	a := &Asker{runDir: runDir, root: root}
	for _, name := range []string{initSocket, nodedSocket, dataplaneSocket, updatedSocket} {
		conn, err := grpc.NewClient("unix:"+filepath.Join(runDir, name), grpc.WithTransportCredentials(insecure.NewCredentials()),
			// A program that has just come back is to be seen at once.
			grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: answerTime,
				Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, MaxDelay: time.Second}}))
		if err != nil {
			a.Close()
			return nil, fmt.Errorf("prepare to ask %s: %w", name, err)
		}
		a.conns = append(a.conns, conn)
	}
	a.Machine, a.Admin, a.Dataplane = api.NewMachineClient(a.conns[0]), api.NewAdminClient(a.conns[1]), api.NewDataplaneClient(a.conns[2])
	a.Update = api.NewUpdateClient(a.conns[3])
	return a, nil
}

// Close ends the connections.
func (a *Asker) Close() {
	for _, c := range a.conns {
		c.Close()
	}
}

// RunDir is where the sockets are; it lies in memory.
func (a *Asker) RunDir() string { return a.runDir }

// ConfigFile is the configuration that init put in force.
func (a *Asker) ConfigFile() string { return filepath.Join(a.runDir, "node.yaml") }

// Gather asks everybody.
func (a *Asker) Gather(ctx context.Context) *Facts {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	f := &Facts{At: time.Now()}
	var wg sync.WaitGroup
	wg.Go(func() { a.askInit(ctx, f) })
	wg.Go(func() { a.askNode(ctx, f) })
	wg.Go(func() { a.askUpdated(ctx, f) })
	f.File, f.FileErr = config.LoadNode(a.ConfigFile())
	f.Links = kernelLinks(a.root)
	wg.Wait()
	f.Uptime = kernelUptime(a.root)
	if a.last != nil {
		before := *a.last
		before.Before = nil
		f.Before = &before
	}
	a.last = f
	return f
}

func (a *Asker) askInit(ctx context.Context, f *Facts) {
	var err error
	if f.Boot, err = a.Machine.Boot(ctx, &api.BootRequest{}); err != nil {
		f.Boot, f.BootErr = nil, a.Explain("init", err)
		return
	}
	s, err := a.Machine.Services(ctx, &api.ServicesRequest{})
	if err != nil {
		f.BootErr = a.Explain("init", err)
		return
	}
	f.Services = s.Services
	if a.last != nil && f.At.Sub(a.searched) < errorsEvery {
		f.Errors = a.last.Errors
		return
	}
	f.Errors, a.searched = a.lastErrors(ctx, s.Services), f.At
}

// askNode asks the control plane, and the dataplane itself when that does not
// tell of it.
func (a *Asker) askNode(ctx context.Context, f *Facts) {
	half, cancel := context.WithTimeout(ctx, answerTime*2/3)
	defer cancel()
	var err error
	if f.Node, err = a.Admin.Status(half, &api.NodeStatusRequest{}); err != nil {
		f.Node, f.NodeErr = nil, a.Explain("noded", err)
	} else if f.Dataplane = f.Node.Dataplane; f.Dataplane != nil {
		return
	}
	if f.Dataplane, err = a.Dataplane.Status(ctx, &api.DataplaneStatusRequest{}); err != nil {
		f.Dataplane, f.DataplaneErr = nil, a.Explain("dataplane", err)
	}
}

func (a *Asker) askUpdated(ctx context.Context, f *Facts) {
	var err error
	if f.Update, err = a.Update.Status(ctx, &api.UpdateStatusRequest{}); err != nil {
		f.Update, f.UpdateErr = nil, a.Explain("updated", err)
	}
}

// Explain says in a few words why a program could not be asked.
func (a *Asker) Explain(program string, err error) error {
	socket := filepath.Join(a.runDir, program+".sock")
	switch s := status.Convert(err); s.Code() {
	case codes.DeadlineExceeded:
		return fmt.Errorf("%s does not answer", program)
	case codes.Unavailable:
		if _, err := os.Stat(socket); err != nil {
			return fmt.Errorf("%s is not running", program)
		}
		return fmt.Errorf("%s does not answer", program)
	default:
		return fmt.Errorf("%s: %s", program, strings.TrimSpace(s.Message()))
	}
}
