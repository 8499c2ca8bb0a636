// Package tftpd gives iPXE's programs to firmware that knows nothing but TFTP
// (RFC 1350, with the options of RFC 2347 to 2349). It reads only, and has a fixed
// list of files.
package tftpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/pin/tftp/v3"

	"weir/provisioning/guard"
)

// Port is TFTP's.
const Port = 69

// Bounds of what clients can have at the same time and make us wait for.
const (
	perClient   = 4
	inAll       = 64
	maxFile     = 8 << 20
	maxDuration = 5 * time.Minute // of one transfer: 1 MiB at 512 bytes a block and 0.1 s a round
	timeout     = time.Second     // for one answer
	retries     = 5
	blockSize   = 1468 // of a frame of Ethernet (RFC 2348)
)

// Server is a TFTP server.
type Server struct {
	log      *slog.Logger
	counters *guard.Counters
	files    map[string][]byte
	slots    *guard.Slots
	said     guard.Said
	tftp     *tftp.Server
}

// Load reads files of a folder, all that are served.
func Load(dir string, names ...string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range names {
		file := filepath.Join(dir, name)
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read iPXE: %w; Debian's package ipxe has it", err)
		}
		if len(b) == 0 || len(b) > maxFile {
			return nil, fmt.Errorf("%s has %d bytes, which is no boot program", file, len(b))
		}
		files[name] = b
	}
	return files, nil
}

// New is a server of these files.
func New(log *slog.Logger, counters *guard.Counters, files map[string][]byte) *Server {
	s := &Server{log: log, counters: counters, files: files, slots: guard.NewSlots(perClient, inAll)}
	s.tftp = tftp.NewServer(s.read, s.write)
	s.tftp.SetTimeout(timeout)
	s.tftp.SetRetries(retries)
	s.tftp.SetBlockSize(blockSize)
	s.tftp.SetHook(s)
	return s
}

// Serve answers what comes to an address until Close.
func (s *Server) Serve(conn *net.UDPConn) error { return s.tftp.Serve(conn) }

// Close ends Serve and waits for what is being sent.
func (s *Server) Close() { s.tftp.Shutdown() }

// Refusals, as clients are told them. They tell nobody what there is.
var (
	errNoFile   = errors.New("file not found")
	errReadOnly = errors.New("this server is read only")
	errBusy     = errors.New("too many transfers")
	errTooLong  = errors.New("the transfer takes too long")
)

func (s *Server) read(name string, rf io.ReaderFrom) error {
	var client netip.Addr
	if t, ok := rf.(tftp.OutgoingTransfer); ok {
		a := t.RemoteAddr()
		client = guard.Client(&a)
	}
	// Some firmware puts a slash before the name; nothing else is made of it.
	b, ok := s.files[strings.TrimPrefix(name, "/")]
	if !ok {
		s.refuse("no_such_file", client, "asks for a file that is not served", "file", path.Base(fmt.Sprintf("%.40q", name)))
		return errNoFile
	}
	free, ok := s.slots.Take(client)
	if !ok {
		s.refuse("too_many_transfers", client, "has too many transfers at once")
		return errBusy
	}
	defer free()
	if t, ok := rf.(tftp.OutgoingTransfer); ok {
		t.SetSize(int64(len(b)))
	}
	sent, err := rf.ReadFrom(&ending{bytes.NewReader(b), time.Now().Add(maxDuration)})
	if err != nil && sent == 0 && strings.Contains(err.Error(), "code=8") {
		s.counters.Answer("tftp", "size") // it only wanted to know the size (RFC 2349): UEFI asks twice
		return err
	}
	if err != nil {
		s.refuse("broken_off", client, "broke off a transfer", "file", name, "error", err)
		return err
	}
	s.counters.Answer("tftp", "file")
	s.log.Info("sent by TFTP", "client", client, "file", name, "bytes", len(b))
	return nil
}

func (s *Server) write(string, io.WriterTo) error {
	s.counters.Refuse("tftp", "write")
	return errReadOnly
}

// OnSuccess is the hook's other half: read counts what was sent.
func (s *Server) OnSuccess(tftp.TransferStats) {}

// OnFailure counts what is not even a request.
func (s *Server) OnFailure(t tftp.TransferStats, _ error) {
	if t.Filename == "" {
		s.counters.Refuse("tftp", "malformed")
	}
}

func (s *Server) refuse(reason string, client netip.Addr, text string, more ...any) {
	s.counters.Refuse("tftp", reason)
	if s.said.New(reason+client.String(), time.Now()) {
		s.log.Warn("a TFTP client "+text, append([]any{"client", client}, more...)...)
	}
}

// ending is a reader that fails after a time: who acknowledges one block a minute
// would have its slot for days.
type ending struct {
	*bytes.Reader
	until time.Time
}

func (e *ending) Read(p []byte) (int, error) {
	if time.Now().After(e.until) {
		return 0, errTooLong
	}
	return e.Reader.Read(p)
}
