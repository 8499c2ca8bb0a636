package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/capture"
)

func newCapture(w *where) *cobra.Command {
	var file, host string
	var count int
	var port uint16
	var snap uint32
	c := &cobra.Command{
		Use:   "capture NODE SIDE",
		Short: "Capture packets on a node's north or south NIC",
		Long: `Capture packets on a node's north or south NIC.

They are printed, one line each, or written to a pcapng file, until Ctrl-C or
--count. --host and --port choose packets by address and by TCP or UDP port,
also of packets inside an encapsulation. Frames that come faster than they are
taken are counted and left out: the node does not wait.`,
		Example: `  weirctl --lab capture lb1 north --port 80
  weirctl --lab capture lb1 south --count 1000 --write south.pcapng
  weirctl --node 10.30.0.11:6090 capture lb1 north --write - | wireshark -k -i -`,
		Args: exactly("NODE", "SIDE"),
		RunE: func(c *cobra.Command, args []string) error {
			if args[1] != "north" && args[1] != "south" {
				return &coded{fmt.Errorf("%q is no side; use north or south", args[1]), exitUsage}
			}
			words := []string{}
			if host != "" {
				words = append(words, "host", host)
			}
			filter, err := capture.ParseFilter(words)
			if err != nil {
				return &coded{err, exitUsage}
			}
			filter.Port = port
			t, err := nodeOf(c.Context(), w, args[0])
			if err != nil {
				return err
			}
			r := &capture.Recorder{Place: args[0] + " " + args[1], Frames: count}
			return record(c, t, capture.Request(args[1], filter, snap), r, file)
		},
	}
	f := c.Flags()
	f.StringVarP(&file, "write", "w", "", "`FILE` to write, as pcapng; - is standard output")
	f.IntVarP(&count, "count", "c", 0, "end after `N` packets")
	f.StringVar(&host, "host", "", "only packets with this `ADDRESS`")
	f.Uint16Var(&port, "port", 0, "only packets with this `PORT`")
	f.Uint32Var(&snap, "snap", 0, "`BYTES` of each packet (default 256)")
	return c
}

// record captures into a file, or prints.
func record(c *cobra.Command, t target, request *api.CaptureRequest, r *capture.Recorder, file string) error {
	out := io.Writer(io.Discard)
	r.Show = func(string) {}
	switch file {
	case "":
		r.Show = func(line string) { fmt.Fprintln(c.OutOrStdout(), line) }
	case "-":
		out = c.OutOrStdout()
	default:
		f, err := os.Create(file)
		if err != nil {
			return fmt.Errorf("make the capture file: %w", err)
		}
		defer f.Close()
		out = f
	}
	if err := r.Start(out); err != nil {
		return fmt.Errorf("write the capture: %w", err)
	}
	conn, err := t.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stream, err := api.NewAdminClient(conn).Capture(ctx, request)
	for enough := false; err == nil && !enough; {
		var m *api.CapturedFrames
		if m, err = stream.Recv(); err == nil {
			enough, err = r.Take(m)
		}
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("capture on %s: %s", t, status.Convert(err).Message())
	}
	fmt.Fprintln(c.ErrOrStderr(), r.Summary())
	return nil
}
