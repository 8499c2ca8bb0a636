package bpf

// counterNames are the names of enum weir_counter, in its order. Those that
// begin with drop_ are reasons why a packet went no further (S-84).
var counterNames = [...]string{
	"in_packets", "in_bytes", "out_packets", "out_bytes", "in_icmp", "out_icmp", "to_agent",
	"drop_stranger", "drop_malformed", "drop_checksum", "drop_fragment", "drop_protocol", "drop_endpoint", "drop_not_here",
	"drop_syn", "drop_pending", "drop_icmp", "drop_plain", "drop_arp", "drop_no_egress", "drop_room",
	"drop_handshake", "strays_limited",
}

// Counters are the data path's counters by name, summed over all CPUs.
func (d *Data) Counters() map[string]uint64 {
	out := make(map[string]uint64, len(counterNames))
	var perCPU []uint64
	for i, name := range counterNames {
		out[name] = 0
		if d.objs.WeirCounters.Lookup(uint32(i), &perCPU) != nil {
			continue
		}
		for _, n := range perCPU {
			out[name] += n
		}
	}
	return out
}
