package main

import (
	"context"

	"weir/init/ending"
	"weir/init/state"
)

// steps are what is done before the machine ends, with what there is by then.
func (n *node) steps() ending.Steps {
	s := ending.Steps{Tell: n.tell, Crashed: func(text string) { n.crashes.Add("init", text) }, Machine: ending.Real{}, State: state.Dir,
		Save: []func(context.Context){
			func(context.Context) { _ = n.clock.Save() }, // a disk that takes nothing was told of before
			func(context.Context) { n.crashes.Wait() },
		}}
	if n.super != nil {
		s.Services = n.super.StopAll
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopLogs != nil {
		s.Save = append(s.Save, n.stopLogs)
	}
	if w := n.dog.get(); w != nil {
		s.Watchdog = w
	}
	return s
}
