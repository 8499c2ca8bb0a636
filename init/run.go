package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// run runs a command of the image to its end and returns what it printed and
// its exit code; the error says that it could not be run.
func run(ctx context.Context, name string, args ...string) (output string, code int, err error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return string(out), 0, fmt.Errorf("%s does not end: %w", name, ctx.Err())
	case errors.As(err, &exit) && exit.Exited():
		return string(out), exit.ExitCode(), nil
	case err != nil:
		return string(out), 0, fmt.Errorf("%s: %w", name, err)
	}
	return string(out), 0, nil
}
