package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"weir/services/exploration"
)

// exploreAll explores every scenario, so many at a time.
func exploreAll(faults, jobs int) (broken int, err error) {
	runtime.GOMAXPROCS(jobs)
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, jobs)
	started := time.Now()
	var total exploration.Report
	for _, s := range exploration.Scenarios() {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			r, failure := exploration.Explore(s, exploration.Bounds{Faults: faults, Crashes: 1, Changes: 1})
			mu.Lock()
			defer mu.Unlock()
			fmt.Printf("%s: %v\n", s.Name, r)
			total.Runs, total.States, total.Steps = total.Runs+r.Runs, total.States+r.States, total.Steps+r.Steps
			if failure != nil {
				broken++
				fmt.Println(failure)
			}
		})
	}
	all.Wait()
	fmt.Printf("up to %d faults: %v in %.0f s; %d scenarios broke a rule\n", faults, total, time.Since(started).Seconds(), broken)
	return broken, nil
}
