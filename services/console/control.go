package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

// controlTime bounds what a service may take to stop.
const controlTime = time.Minute

func restart(s *session, ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	ctx, cancel := context.WithTimeout(ctx, controlTime)
	defer cancel()
	_, err := s.asker.Machine.Control(ctx, &api.ControlRequest{Service: args[0], Action: "restart"})
	switch {
	case status.Code(err) == codes.NotFound:
		return fmt.Errorf("there is no service %q; see: services", args[0])
	case err != nil:
		return s.asker.Explain("init", err)
	}
	return s.page([]string{args[0] + " is restarted; see: services"})
}

// end makes the command that ends the machine's life in one way.
func end(how string) func(*session, context.Context, []string) error {
	return func(s *session, ctx context.Context, args []string) error {
		if len(args) > 0 {
			return errUsage
		}
		if err := s.confirm(how + " this node?"); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, controlTime)
		defer cancel()
		if _, err := s.asker.Machine.End(ctx, &api.EndRequest{How: how, Who: "console"}); err != nil {
			return s.asker.Explain("init", err)
		}
		return s.page([]string{how + ": services are stopped first"})
	}
}
