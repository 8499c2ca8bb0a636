package confsource

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"weir/services/config"
)

// openFile reads a cluster file and watches it.
func (s *Source) openFile(background context.Context, o Options) error {
	seen := stampOf(o.ClusterFile) // before reading: a change while we start is not missed
	c, err := config.LoadCluster(o.ClusterFile)
	if err != nil {
		return err
	}
	seen += stampOf(c.KeyFile)
	s.current = &Config{Cluster: c}
	s.work.Go(func() { s.watchFile(background, o.ClusterFile, seen) })
	return nil
}

// watchFile reads the file again when it or its key is no longer as it was
// seen, and on SIGHUP.
func (s *Source) watchFile(ctx context.Context, path, seen string) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			seen = stampOf(path) + stampOf(s.Current().KeyFile)
		case <-tick.C:
			now := stampOf(path) + stampOf(s.Current().KeyFile)
			if now == seen {
				continue
			}
			seen = now
		}
		c, err := config.LoadCluster(path)
		if err != nil {
			s.fail(err)
			continue
		}
		s.take(&Config{Cluster: c})
	}
}

// stampOf changes when a file does.
func stampOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error() + ";"
	}
	inode := uint64(0)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	return fmt.Sprintf("%d %d %d;", inode, info.Size(), info.ModTime().UnixNano())
}
