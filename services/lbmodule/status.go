package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"weir/dataplane/flow"
	"weir/services/api"
	"weir/services/lbmodule/admission"
	"weir/services/lbmodule/agent"
	"weir/services/version"
)

// adminHandler answers on the Unix socket what package api describes.
func (m *module) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		s, ok := m.status()
		m.answer(w, s, ok)
	})
	mux.HandleFunc("GET /trace", m.trace)
	for _, on := range []bool{true, false} {
		path := "POST /undrain"
		if on {
			path = "POST /drain"
		}
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			if err := m.setDraining(on); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	return mux
}

func (m *module) answer(w http.ResponseWriter, v any, ok bool) {
	if !ok {
		http.Error(w, "lbmodule is ending", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		m.log.Debug("answer a request", "error", err)
	}
}

// status is everything at one moment.
func (m *module) status() (*api.ModuleStatus, bool) {
	s := &api.ModuleStatus{
		Health: api.HealthHealthy, Version: version.Version,
		Metrics: map[string]api.Metric{}, Offers: map[string]uint64{}, Drops: map[string]uint64{}, Counters: map[string]uint64{},
	}
	var c agent.Counters
	ok := m.loop.call(m.ctx, func() {
		s.ID = m.settings.server.ID
		c = m.core.Counters()
		s.Connections = m.core.Established()
		if m.core.Draining() {
			s.Health = api.HealthDraining
		}
		_, s.Utilization = m.control.Worst()
		for i := range admission.NumMetrics {
			u, p := m.control.Utilization(i)
			s.Metrics[i.String()] = api.Metric{Utilization: u, Projected: p}
		}
	})
	if !ok {
		return nil, false
	}
	m.count(s, &c)
	return s, true
}

// count sorts all counters: offers, drops, the rest.
func (m *module) count(s *api.ModuleStatus, c *agent.Counters) {
	s.Offers["accepted"] = c.Accepted
	for reason, n := range c.Rejected {
		if reason != 0 {
			s.Offers[agent.ReasonName(uint8(reason))] = n
		}
	}
	for name, n := range m.data.Counters() {
		if reason, isDrop := strings.CutPrefix(name, "drop_"); isDrop {
			s.Drops[reason] = n
		} else {
			s.Counters[name] = n
		}
	}
	s.Drops["control_not_authentic"] = c.NotAuthentic
	s.Drops["control_malformed"] = c.BadMessage
	s.Drops["control_replayed"] = c.Replayed
	s.Drops["control_stale_boot"] = c.StaleBoot
	s.Drops["control_node_not_introduced"] = c.NotIntroduced
	s.Drops["control_unknown_sender"] = c.UnknownSender
	s.Drops["control_unknown_message"] = c.UnknownMessage
	s.Drops["not_sent"] = m.out.failed.Load()
	for name, n := range map[string]uint64{
		"offers": c.Offers, "offers_repeated": c.OffersRepeated, "offers_forced": c.Forced, "committed": c.Committed,
		"abandoned": c.Abandoned, "superseded": c.Superseded, "not_here": c.NotHere, "not_here_limited": c.NotHereLimited,
		"syn_ack_repeated": c.SynAckRepeated, "stray_frames": c.StrayFrames, "bad_frames": c.BadFrames,
		"collected": c.Collected, "evicted": c.Evicted, "publications": c.Publications, "published": c.Published,
		"node_lists": c.ListsTaken, "node_lists_stale": c.ListsStale, "egress_changed": c.EgressChanged,
	} {
		s.Counters[name] = n
	}
}

// trace says what is known of one connection.
func (m *module) trace(w http.ResponseWriter, r *http.Request) {
	client, err := netip.ParseAddrPort(r.FormValue("client"))
	if err != nil {
		http.Error(w, "client: "+err.Error()+"; write ADDRESS:PORT", http.StatusBadRequest)
		return
	}
	vip, err := netip.ParseAddrPort(r.FormValue("vip"))
	if err != nil {
		http.Error(w, "vip: "+err.Error()+"; write ADDRESS:PORT", http.StatusBadRequest)
		return
	}
	k := flow.MakeKey(client, vip, protoTCP)
	var t *api.ModuleTrace
	ok := m.loop.call(m.ctx, func() {
		if f, found := m.core.Trace(&k); found {
			t = m.traceOf(&f)
		}
	})
	if ok && t == nil {
		http.Error(w, fmt.Sprintf("no connection of %s to %s here", client, vip), http.StatusNotFound)
		return
	}
	m.answer(w, t, ok)
}

func (m *module) traceOf(f *agent.Trace) *api.ModuleTrace {
	return &api.ModuleTrace{
		Server: m.settings.server.ID, State: f.State,
		Ingress: m.nodeID(f.Ingress), Egress: m.nodeID(f.Egress), Primary: m.nodeID(f.Primary), Secondary: m.nodeID(f.Secondary),
		ClientISN: f.ClientISN, ServerISN: f.ServerISN,
	}
}

func (m *module) nodeID(number uint16) string {
	for i := range m.settings.cluster.Nodes {
		if n := &m.settings.cluster.Nodes[i]; n.Number == number {
			return n.ID
		}
	}
	return ""
}
