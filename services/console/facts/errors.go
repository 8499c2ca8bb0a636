package facts

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"weir/services/api"
)

const (
	searchLines = 50 // of each log
	keptErrors  = 5
)

// lastErrors are the newest warnings and errors of init and the services,
// newest first. The console's own are not news to its reader.
func (a *Asker) lastErrors(ctx context.Context, services []*api.Service) []LoggedError {
	sources := []string{"init"}
	for _, s := range services {
		if !strings.HasPrefix(s.Name, "console") {
			sources = append(sources, s.Name)
		}
	}
	var out []LoggedError
	for _, source := range sources {
		stream, err := a.Machine.Logs(ctx, &api.LogsRequest{Source: source, Lines: searchLines})
		for err == nil {
			var line *api.LogLine
			if line, err = stream.Recv(); err == nil && isError(source, line.Text) {
				out = append(out, LoggedError{source, line.Seconds, message(line.Text)})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b LoggedError) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return out[:min(len(out), keptErrors)]
}

// isError knows how the programs write what went wrong: slog's levels, the words
// of Go's runtime, and init's about a service that ended.
func isError(source, line string) bool {
	return source == "init" && strings.Contains(line, " ended: ") || strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") ||
		strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:")
}

// message is a log line without the time and level that slog puts before it.
func message(line string) string {
	for _, level := range []string{"level=ERROR ", "level=WARN "} {
		if _, rest, ok := strings.Cut(line, level); ok {
			return strings.TrimPrefix(rest, "msg=")
		}
	}
	return line
}
