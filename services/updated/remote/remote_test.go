package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/firmware/refusal"
	"weir/firmware/release"
)

// server has one target, and counts the bytes that it gives.
type server struct {
	*httptest.Server
	content []byte
	given   atomic.Int64
	cut     atomic.Int64 // bytes after which the connection breaks; 0: never
	deaf    bool         // it does not know ranges
	ranges  chan string
}

func serve(t *testing.T, content []byte) *server {
	s := &server{content: content, ranges: make(chan string, 100)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ranges <- r.Header.Get("Range")
		if !strings.HasPrefix(r.URL.Path, "/weir/targets/") {
			http.NotFound(w, r)
			return
		}
		if s.deaf {
			r.Header.Del("Range")
		}
		http.ServeContent(&counted{w, s}, r, "", time.Time{}, bytes.NewReader(s.content))
	}))
	t.Cleanup(s.Close)
	return s
}

type counted struct {
	http.ResponseWriter
	s *server
}

func (c *counted) Write(p []byte) (int, error) {
	if most := c.s.cut.Load(); most > 0 {
		n, _ := c.ResponseWriter.Write(p[:min(int64(len(p)), most)])
		c.s.given.Add(int64(n))
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	n, err := c.ResponseWriter.Write(p)
	c.s.given.Add(int64(n))
	return n, err
}

func file(content []byte) release.File {
	sum := sha256.Sum256(content)
	return release.File{Name: release.Unified, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

func content() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 1<<14) } // 256 KiB

func ignore(int64) {}

func TestAnInterruptedDownloadGoesOnWhereItWas(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		want := content()
		s := serve(t, want)
		s.deaf = deaf
		s.cut.Store(20_000)
		folder, r := Folder(t.TempDir()), Open(s.URL+"/weir", 0)
		if _, err := folder.Download(t.Context(), r, file(want), ignore); err == nil || refusal.Of(err) != "" {
			t.Fatalf("got %v", err)
		}
		s.cut.Store(0)
		s.given.Store(0)
		var last int64
		path, err := folder.Download(t.Context(), r, file(want), func(n int64) { last = n })
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) || last != int64(len(want)) {
			t.Errorf("%d bytes, %d reported, %v", len(got), last, err)
		}
		if saved := int64(len(want)) - s.given.Load(); !deaf && saved != 20_000 || deaf && saved != 0 {
			t.Errorf("%d bytes were not sent again", saved)
		}
		if _, err := folder.Download(t.Context(), r, file(want), ignore); err != nil || len(s.ranges) != 2 {
			t.Errorf("what is there is asked for again: %v", err)
		}
	}
}

func TestADamagedBeginningIsFetchedAnew(t *testing.T) {
	want := content()
	s := serve(t, want)
	folder, r := Folder(t.TempDir()), Open(s.URL+"/weir", 0)
	if err := os.WriteFile(folder.path(file(want)), make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Download(t.Context(), r, file(want), ignore); err != nil {
		t.Error(err)
	}
}

func TestOtherContentsAreRefusedAndNotKept(t *testing.T) {
	want := content()
	for name, given := range map[string][]byte{"altered": append([]byte{'x'}, want[1:]...), "longer": append(want[:len(want):len(want)], 'x')} {
		s := serve(t, given)
		folder := Folder(t.TempDir())
		_, err := folder.Download(t.Context(), Open(s.URL+"/weir", 0), file(want), ignore)
		if refusal.Of(err) != refusal.Altered {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsNotThereIsSaidSo(t *testing.T) {
	s := serve(t, nil)
	_, err := Open(s.URL+"/weir", 0).Metadata(t.Context(), "timestamp.json", 100)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestTheBandwidthIsKept(t *testing.T) {
	want := content()
	s := serve(t, want)
	start := time.Now()
	if _, err := Folder(t.TempDir()).Download(t.Context(), Open(s.URL+"/weir", 1<<20), file(want), ignore); err != nil {
		t.Fatal(err)
	}
	// The first 64 KiB come at once, the others take 3/16 s.
	if took := time.Since(start); took < 180*time.Millisecond {
		t.Errorf("256 KiB at 1 MiB/s took %v", took)
	}
}

func TestAServerThatFallsSilentIsGivenUp(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "begin")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	r := Open(s.URL, 0)
	r.stall = 20 * time.Millisecond
	if _, err := r.Metadata(t.Context(), "timestamp.json", 100); err == nil || !strings.Contains(err.Error(), "the server has sent nothing for 20ms") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Metadata(ctx, "timestamp.json", 100); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOldDownloadsAreRemoved(t *testing.T) {
	folder := Folder(t.TempDir())
	for _, name := range []string{"a.weir.efi", "b.weir.efi"} {
		if err := os.WriteFile(filepath.Join(string(folder), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := folder.Clear("b.weir.efi"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(string(folder)); len(left) != 1 || left[0].Name() != "b.weir.efi" {
		t.Errorf("%v", left)
	}
	if err := Folder(filepath.Join(string(folder), "none")).Clear(""); err != nil {
		t.Error(err)
	}
}
