package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// dialInside connects from inside a network namespace of this machine: a lab's
// fabric is not reachable from outside.
func dialInside(namespace string) func(ctx context.Context, address string) (net.Conn, error) {
	return func(ctx context.Context, address string) (conn net.Conn, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked: the thread ends with its namespace
			if err = enter(namespace); err == nil {
				conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
			}
		}()
		<-done
		return conn, err
	}
}

func enter(namespace string) error {
	f, err := os.Open(filepath.Join("/run/netns", namespace))
	if err != nil {
		return fmt.Errorf("enter the lab: %w", err)
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the lab's namespace %s: %w", namespace, err)
	}
	return nil
}
