package main

import (
	"context"
	"fmt"

	"weir/services/console/check"
	"weir/services/console/terminal"
)

// checkNetwork tries the network from the cable upwards.
func checkNetwork(s *session, ctx context.Context, args []string) error {
	if len(args) > 0 {
		return errUsage
	}
	return s.interruptible(ctx, func(ctx context.Context) error {
		failed := 0
		check.Run(ctx, s.asker.Gather(ctx), s.network, func(r check.Result) {
			if r.Outcome == check.Failed {
				failed++
			}
			fmt.Fprintln(s, terminal.Clean(r.String()))
		})
		if ctx.Err() == nil {
			fmt.Fprintf(s, "%d failed\n", failed)
		}
		return nil
	})
}
