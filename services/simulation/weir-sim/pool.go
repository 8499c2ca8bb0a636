package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// progressEvery is how often a line says how far it is.
const progressEvery = 10 * time.Second

// pool gives seeds to processes and collects what they say.
type pool struct {
	mu      sync.Mutex
	next    uint64
	end     uint64
	count   uint64
	done    uint64
	frames  uint64
	broken  []result
	err     error
	started time.Time
}

// take is the next seed, or false when there is none left or a process could
// not run.
func (p *pool) take() (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || p.next >= p.end {
		return 0, false
	}
	p.next++
	return p.next - 1, true
}

func (p *pool) add(r result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.frames += r.frames
	if r.broken != "" {
		p.broken = append(p.broken, r)
		fmt.Printf("seed %d: %s\n", r.seed, first(r.broken))
	}
}

func (p *pool) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// first is a failure's first line.
func first(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return s
}

// runAll runs seeds in so many processes.
func runAll(from, count uint64, jobs int) (broken int, err error) {
	p := &pool{next: from, end: from + count, count: count, started: time.Now()}
	var all sync.WaitGroup
	for range jobs {
		all.Go(func() {
			for p.serve() {
			}
		})
	}
	stop := make(chan struct{})
	go p.progress(stop)
	all.Wait()
	close(stop)
	fmt.Printf("%d seeds, %d frames, %.0f s: %d broke a rule\n", p.done, p.frames, time.Since(p.started).Seconds(), len(p.broken))
	for _, r := range p.broken {
		fmt.Printf("replay with: make sim SEED=%d PCAPNG=/tmp/seed-%d.pcapng\n", r.seed, r.seed)
	}
	return len(p.broken), p.err
}

// serve runs one process until no seed is left, or until it dies: the seed that
// it died of is broken, and another process is worth its while.
func (p *pool) serve() (again bool) {
	self, err := os.Executable()
	if err != nil {
		p.fail(err)
		return false
	}
	var said strings.Builder
	cmd := exec.Command(self, "-worker")
	cmd.Stderr = &said
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		p.fail(fmt.Errorf("pipes of a worker: %v, %v", err1, err2))
		return false
	}
	if err := cmd.Start(); err != nil {
		p.fail(fmt.Errorf("start a worker: %w", err))
		return false
	}
	answers := bufio.NewScanner(out)
	for seed, ok := p.take(); ok; seed, ok = p.take() {
		fmt.Fprintln(in, seed)
		if !answers.Scan() {
			cmd.Wait()
			if cmd.ProcessState.ExitCode() == 2 && !strings.Contains(said.String(), "goroutine") {
				p.fail(fmt.Errorf("seed %d: %s", seed, strings.TrimSpace(said.String())))
				return false
			}
			p.add(result{seed: seed, broken: "the process died: " + strings.TrimSpace(said.String())})
			return true
		}
		r, err := parseResult(answers.Text())
		if err != nil {
			p.fail(err)
			break
		}
		p.add(r)
	}
	in.Close()
	cmd.Wait()
	return false
}

func (p *pool) progress(stop chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			p.mu.Lock()
			fmt.Printf("%d of %d seeds, %d broke a rule\n", p.done, p.count, len(p.broken))
			p.mu.Unlock()
		}
	}
}
