package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"weir/firmware/slots"
	"weir/image/manifest"
	"weir/init/cmdline"
	"weir/services/version"
	"weir/services/wholefile"
)

// installedMark tells updated that the image that runs is on the disk too.
const installedMark = "/run/weir/installed"

const (
	installLimit = 15 * time.Minute
	maxLoader    = 1 << 20 // bytes
	maxManifest  = 1 << 20
)

// install writes the image that runs to the disk that was marked for it, so that the
// machine boots from there next time.
func (n *node) install(ctx context.Context, line cmdline.Line) error {
	from, _ := line.Get("weir.image")
	if !strings.HasPrefix(from, "http://") || !strings.HasSuffix(from, "/") {
		return fmt.Errorf("weir.image=%s on the boot command line is not the folder of the image", from)
	}
	if _, err := os.Stat("/sys/firmware/efi"); err != nil {
		return errors.New("this machine's firmware is BIOS, which does not start the image from a disk: switch it to UEFI")
	}
	d, err := slots.FindTarget("")
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, installLimit)
	defer stop()
	var m manifest.Manifest
	if text, err := download(ctx, from+manifest.File, maxManifest); err != nil {
		return err
	} else if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s%s: %w", from, manifest.File, err)
	}
	if m.Version != version.Version {
		return fmt.Errorf("%s has version %s, and this is %s: boot it over the network once more", from, m.Version, version.Version)
	}
	loader, err := output(m, "loader.efi")
	if err != nil {
		return err
	}
	unified, err := output(m, "weir.efi")
	if err != nil {
		return err
	}
	text, err := download(ctx, from+"loader.efi", maxLoader)
	if err != nil {
		return err
	}
	loader.From = bytes.NewReader(text)
	body, err := get(ctx, from+"weir.efi")
	if err != nil {
		return err
	}
	defer body.Close()
	unified.From, unified.Progress = body, n.progress("installing to /dev/"+d.Name, 2*unified.Size)
	if err := d.Install(ctx, loader, unified); err != nil {
		return err
	}
	n.tell("version " + m.Version + " is installed on /dev/" + d.Name + ": the machine boots from there once it has proved good")
	return wholefile.Replace(installedMark, []byte(m.Version+"\n"))
}

// progress tells how far something is, in quarters.
func (n *node) progress(what string, all int64) func(int64) {
	told := int64(0)
	return func(done int64) {
		if quarter := 4 * done / all; quarter > told {
			told = quarter
			n.tell(fmt.Sprintf("%s: %d %%", what, 25*quarter))
		}
	}
}

// output is what the manifest says of a file.
func output(m manifest.Manifest, name string) (slots.Image, error) {
	for _, o := range m.Outputs {
		if b, err := hex.DecodeString(o.SHA256); o.Name == name && err == nil && len(b) == 32 {
			return slots.Image{Size: o.Size, SHA256: [32]byte(b)}, nil
		}
	}
	return slots.Image{}, fmt.Errorf("the image's manifest has no %s", name)
}

func get(ctx context.Context, url string) (io.ReadCloser, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		r.Body.Close()
		return nil, fmt.Errorf("%s answers %s", url, r.Status)
	}
	return r.Body, nil
}

func download(ctx context.Context, url string, most int64) ([]byte, error) {
	body, err := get(ctx, url)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return b, nil
}
