package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"weir/qemu/vm"
)

// EmptyCases are all firmwares, each beside a foreign DHCP server and alone.
func EmptyCases() (all [][2]string) {
	for _, mode := range []string{BesideForeign, Alone} {
		for _, firmware := range []string{vm.NetworkBIOS, vm.NetworkPXE, vm.NetworkHTTP} {
			all = append(all, [2]string{firmware, mode})
		}
	}
	return all
}

// RunEmpty starts a lab of NewEmpty, has an empty machine become a node of its
// cluster once for each case, prints how that went, and removes the lab. It fails
// if one did not, or if anything was lost.
func (l *Lab) RunEmpty(ctx context.Context, out io.Writer, cases ...[2]string) (err error) {
	if err := l.Up(ctx); err != nil {
		return err
	}
	defer func() {
		l.say("removing the lab")
		err = errors.Join(err, l.Down())
	}()
	var all []*EmptyBoot
	for _, c := range cases {
		b, err := l.BootEmpty(ctx, c[0], c[1])
		if err != nil {
			return fmt.Errorf("%s, DHCP %s: %w", c[0], c[1], err)
		}
		all = append(all, b)
		if err := l.RemoveEmpty(ctx); err != nil {
			return err
		}
	}
	return PrintEmpty(out, all)
}

// PrintEmpty prints the table of boots. It fails if connections were lost.
func PrintEmpty(out io.Writer, all []*EmptyBoot) error {
	var lost []error
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nFIRMWARE\tDHCP\tIMAGE LOADS\tWAITS FOR APPROVAL\tAPPROVED\tANNOUNCED\tFINGERPRINT\tSECOND BOOT, ANNOUNCED\tREQUESTS\tOF THEM BY IT\tPACKETS\tLOST")
	for _, b := range all {
		seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\n", b.Firmware, map[string]string{BesideForeign: "beside dnsmasq", Alone: "alone"}[b.DHCP],
			seconds(b.Loading), seconds(b.Pending), seconds(b.Approved), seconds(b.Announced), b.Fingerprint[:16], seconds(b.Again), b.Requests, b.Took, b.Carried, len(b.Lost))
		lost = append(lost, b.Lost...)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(lost) > 0 {
		return fmt.Errorf("%d requests were lost; the first: %w", len(lost), lost[0])
	}
	_, err := fmt.Fprintln(out, "\nevery machine joined, came back without approval, and nothing was lost")
	return err
}
