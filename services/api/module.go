package api

// The agent of a module answers HTTP on run_dir/lbmodule.sock (mode 0600):
//
//	GET  /status                     ModuleStatus
//	GET  /trace?client=A:P&vip=A:P   ModuleTrace; 404 when the connection is not here
//	POST /drain, POST /undrain       204
//
// An error has a status of 400 or above and one line of text.

// Health of nodes and servers in every answer.
const (
	HealthHealthy   = "healthy"
	HealthSuspect   = "suspect"
	HealthUnhealthy = "unhealthy"
	HealthDraining  = "draining"
)

// Phases of a node between joining and leaving (S-64).
const (
	PhaseReceiveOnly = "receive-only" // takes state, gives none
	PhaseTracking    = "tracking"     // in the ring, and synchronises
	PhaseSpeaking    = "speaking"     // announces its neighbours
	PhaseAnnounced   = "announced"    // in service
	PhaseLeaving     = "leaving"
	PhaseDrained     = "drained"
)

// ModuleStatus is the state of one server's module.
type ModuleStatus struct {
	ID          string            `json:"id"`     // of the server
	Health      string            `json:"health"` // healthy or draining
	Version     string            `json:"version"`
	Utilization float64           `json:"utilization"` // of the worst metric, 0 to 1 and above
	Metrics     map[string]Metric `json:"metrics"`     // cpu, bandwidth, connections, backlog
	Connections int               `json:"connections"` // established through the module
	Offers      map[string]uint64 `json:"offers"`      // accepted, and rejected by reason
	Drops       map[string]uint64 `json:"drops"`       // packets, by reason
	Counters    map[string]uint64 `json:"counters"`    // everything else that is counted
}

// Metric is one measure of load (S-30).
type Metric struct {
	Utilization float64 `json:"utilization"`
	Projected   float64 `json:"projected"` // with what was accepted since the sample
}

// ModuleTrace is what a module knows of one connection.
type ModuleTrace struct {
	Server    string `json:"server"`
	State     string `json:"state"`
	Ingress   string `json:"ingress"` // id of the last ingress node seen
	Egress    string `json:"egress"`  // id of the node that replies leave through
	Primary   string `json:"primary"`
	Secondary string `json:"secondary"`
	ClientISN uint32 `json:"client_isn"`
	ServerISN uint32 `json:"server_isn"`
}
