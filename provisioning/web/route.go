package web

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/provisioning/machines"
	"weir/provisioning/netboot"
)

// route finds what a path means. Every path is one of a few forms: what does not
// look exactly like that is not found, so that no path leads out of a folder.
func (s *Server) route(w http.ResponseWriter, r *http.Request, client netip.Addr) {
	path := r.URL.Path
	switch {
	case path == netboot.ScriptPath:
		s.answer(w, "first_script", first(s.Base))
	case path == scriptPath:
		s.script(w, r, client)
	case strings.HasPrefix(path, netboot.ProgramPath):
		b, ok := s.Programs[strings.TrimPrefix(path, netboot.ProgramPath)]
		if !ok {
			s.refuse(w, client, http.StatusNotFound, "no_such_file", "")
			return
		}
		s.Counters.Answer("http", "program")
		w.Header().Set("Content-Type", "application/efi") // UEFI 2.10, 24.7.3.3
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	case strings.HasPrefix(path, offerPath):
		token, file, _ := strings.Cut(strings.TrimPrefix(path, offerPath), "/")
		s.offered(w, r, client, token, file)
	case strings.HasPrefix(path, repositoryPath) && s.repo != nil:
		s.repository(w, r, client, strings.TrimPrefix(path, repositoryPath))
	default:
		s.refuse(w, client, http.StatusNotFound, "no_such_file", "")
	}
}

// script is what a machine boots. The MAC address that it names must be the one
// that its address on the network has; the rest it may say as it likes.
func (s *Server) script(w http.ResponseWriter, r *http.Request, client netip.Addr) {
	q := r.URL.Query()
	mac := strings.ReplaceAll(strings.ToLower(q.Get("mac")), "-", ":")
	h, err := machines.NewHardware([]string{mac}, q.Get("serial"), q.Get("uuid"))
	if err != nil {
		s.refuse(w, client, http.StatusBadRequest, "malformed", err.Error())
		return
	}
	proved, ok := s.Neighbours.MAC(client)
	if !ok || proved != mac {
		s.refuse(w, client, http.StatusForbidden, "not_its_machine", "it asks for the machine "+mac+", and is "+or(proved, "not on this network"))
		return
	}
	if arch := q.Get("arch"); arch != "" && arch != "i386" && arch != "x86_64" { // iPXE's, not the processor's: BIOS has i386 only
		s.refuse(w, client, http.StatusNotFound, netboot.Unsupporting, "there is no image for its architecture")
		return
	}
	b, err := s.Machines.Boot(h)
	if err != nil {
		s.refuse(w, client, http.StatusForbidden, "not_bootable", err.Error())
		return
	}
	if b.OwnDisk {
		s.answer(w, "own_disk", ownDisk)
		return
	}
	dir := s.Images(b.Version)
	words, err := commandLine(dir)
	if err != nil {
		s.Log.Error("an image cannot be served", "version", b.Version, "error", err)
		s.refuse(w, client, http.StatusInternalServerError, "no_image", "")
		return
	}
	token, ok := s.offers.add(offer{mac, b.Name, b.Version, time.Now().Add(offerFor)}, time.Now())
	if !ok {
		s.refuse(w, client, http.StatusServiceUnavailable, "too_many_boots", "too many machines boot at once")
		return
	}
	s.Log.Info("a machine boots", "machine", or(b.Name, "(not approved)"), "mac", mac, "client", client, "version", b.Version)
	s.answer(w, "script", script(s.Base, token, b, mac, append([]string{words}, s.Words...)...))
}

// offered gives the files of an offer to whom it was made for.
func (s *Server) offered(w http.ResponseWriter, r *http.Request, client netip.Addr, token, file string) {
	mac, known := s.Neighbours.MAC(client)
	o, ok := s.offers.get(token, mac, time.Now())
	if !ok || !known {
		s.refuse(w, client, http.StatusNotFound, "no_such_offer", "it asks for what was offered to another machine, or long ago")
		return
	}
	switch file {
	case kernel, unified:
		if r.Method == http.MethodGet && o.machine != "" {
			// Its one try of a new version begins, and is on the disk before the kernel is its.
			if err := s.Machines.Taken(o.machine, o.version); err != nil {
				s.Log.Error("note that a machine boots", "machine", o.machine, "error", err)
				s.refuse(w, client, http.StatusServiceUnavailable, "not_kept", "")
				return
			}
		}
		s.file(w, r, client, file, func() (fs.File, error) { return os.Open(filepath.Join(s.Images(o.version), file)) })
	case initramfs, loader, manifest:
		s.file(w, r, client, file, func() (fs.File, error) { return os.Open(filepath.Join(s.Images(o.version), file)) })
	default:
		s.refuse(w, client, http.StatusNotFound, "no_such_file", "")
	}
}

// repository gives metadata/NAME and targets/NAME, and targets of a version,
// targets/VERSION/NAME. os.Root keeps links from leading out.
func (s *Server) repository(w http.ResponseWriter, r *http.Request, client netip.Addr, name string) {
	parts := strings.Split(name, "/")
	if !fs.ValidPath(name) || len(parts) < 2 || len(parts) > 3 || parts[0] != "metadata" && parts[0] != "targets" || len(name) > maxFilename || strings.Contains(name, "/.") {
		s.refuse(w, client, http.StatusNotFound, "no_such_file", "")
		return
	}
	s.file(w, r, client, "repository", func() (fs.File, error) { return s.repo.Open(name) })
}

// file gives a regular file.
func (s *Server) file(w http.ResponseWriter, r *http.Request, client netip.Addr, kind string, open func() (fs.File, error)) {
	f, err := open()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.Log.Error("open a file that is served", "error", err)
		}
		s.refuse(w, client, http.StatusNotFound, "no_such_file", "")
		return
	}
	defer f.Close()
	info, err := f.Stat()
	content, seekable := f.(interface {
		Read([]byte) (int, error)
		Seek(int64, int) (int64, error)
	})
	if err != nil || !info.Mode().IsRegular() || !seekable {
		s.refuse(w, client, http.StatusNotFound, "no_such_file", "")
		return
	}
	s.Counters.Answer("http", kind)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), content)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
