package facts

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Link is a network interface of the kernel: the control network, the exception
// interfaces. The dataplane's NICs are not among them.
type Link struct {
	Name             string
	MAC              string
	Up               bool // carrier
	RxPackets        uint64
	TxPackets        uint64
	RxBytes, TxBytes uint64
}

// kernelLinks reads /sys/class/net; what cannot be read is left out.
func kernelLinks(root string) []Link {
	dir := filepath.Join(root, "sys/class/net")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []Link
	for _, e := range entries {
		if e.Name() == "lo" {
			continue
		}
		read := func(name string) string {
			b, _ := os.ReadFile(filepath.Join(dir, e.Name(), name)) // carrier of an interface that is down cannot be read
			return strings.TrimSpace(string(b))
		}
		count := func(name string) uint64 { n, _ := strconv.ParseUint(read("statistics/"+name), 10, 64); return n }
		out = append(out, Link{Name: e.Name(), MAC: read("address"), Up: read("carrier") == "1",
			RxPackets: count("rx_packets"), TxPackets: count("tx_packets"), RxBytes: count("rx_bytes"), TxBytes: count("tx_bytes")})
	}
	return out
}

// Link is the kernel's interface with a MAC address; nil: there is none.
func (f *Facts) Link(mac string) *Link {
	for i := range f.Links {
		if f.Links[i].MAC == mac {
			return &f.Links[i]
		}
	}
	return nil
}

// Named is the kernel's interface of that name; nil: there is none.
func (f *Facts) Named(name string) *Link {
	for i := range f.Links {
		if f.Links[i].Name == name {
			return &f.Links[i]
		}
	}
	return nil
}

// kernelUptime reads /proc/uptime; 0: it cannot.
func kernelUptime(root string) time.Duration {
	b, _ := os.ReadFile(filepath.Join(root, "proc/uptime"))
	first, _, _ := strings.Cut(string(b), " ")
	seconds, _ := strconv.ParseFloat(first, 64)
	return time.Duration(seconds * float64(time.Second))
}
