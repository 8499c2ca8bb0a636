package tftpd

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pin/tftp/v3"
	"github.com/prometheus/client_golang/prometheus"

	"weir/provisioning/guard"
	"weir/provisioning/rig"
)

func served(t *testing.T, files map[string][]byte) (*guard.Counters, *net.UDPAddr) {
	t.Helper()
	c := guard.NewCounters(prometheus.NewRegistry())
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := New(slog.New(slog.DiscardHandler), c, files)
	s.tftp.SetTimeout(50 * time.Millisecond) // the tests do not want to wait
	s.tftp.SetBackoff(func(int) time.Duration { return time.Millisecond })
	done := make(chan error, 1)
	go func() { done <- s.Serve(conn) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c, conn.LocalAddr().(*net.UDPAddr)
}

func TestAClientReadsAndCannotWrite(t *testing.T) {
	want := bytes.Repeat([]byte("weir"), 5000)
	counters, at := served(t, map[string][]byte{"snponly.efi": want})
	client, err := tftp.NewClient(at.String())
	if err != nil {
		t.Fatal(err)
	}
	client.SetBlockSize(1468)
	r, err := client.Receive("snponly.efi", "octet")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := r.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
	if _, err := client.Receive("../snponly.efi", "octet"); err == nil || !strings.Contains(err.Error(), "file not found") {
		t.Errorf("%v", err)
	}
	if _, err := client.Send("snponly.efi", "octet"); err == nil {
		t.Error("it writes")
	}
	if rig.Refused(t, counters, "tftp", "write") == 0 || rig.Refused(t, counters, "tftp", "no_such_file") == 0 {
		t.Error("refusals are not counted")
	}
}

// Who asks and never answers has a few seconds, and no more than a few transfers.
func TestAClientThatNeverAnswersHoldsFewTransfersAndNotForLong(t *testing.T) {
	counters, at := served(t, map[string][]byte{"f": make([]byte, 4096)})
	conn, err := net.DialUDP("udp4", nil, at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 50 {
		if _, err := conn.Write([]byte("\x00\x01f\x00octet\x00")); err != nil {
			t.Fatal(err)
		}
	}
	rig.Until(t, "the others are refused", func() bool { return rig.Refused(t, counters, "tftp", "too_many_transfers") >= 50-perClient })
	client, err := tftp.NewClient(at.String())
	if err != nil {
		t.Fatal(err)
	}
	rig.Until(t, "there is room again", func() bool { _, err := client.Receive("f", "octet"); return err == nil })
}

func TestATransferEnds(t *testing.T) {
	e := &ending{bytes.NewReader([]byte("x")), time.Now().Add(-time.Second)}
	if _, err := e.Read(make([]byte, 1)); err != errTooLong {
		t.Error(err)
	}
}

func TestWithoutIPXETheErrorNamesThePackage(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir, "a.efi"); err == nil || !strings.Contains(err.Error(), "package ipxe") {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.efi"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, "a.efi"); err == nil || !strings.Contains(err.Error(), "no boot program") {
		t.Error(err)
	}
}
