package soak

// source is how one end of a connection behaves.
type source uint8

const (
	steady source = iota // a chunk at the plan's pace
	late                 // silent for the plan's idle time, then a chunk, then again
	answer               // a chunk for every whole chunk that came
	shut                 // closes its direction at once and only listens
)

// kind is a temperament of connections.
type kind struct {
	name     string
	up, down source // of the client, of the server
}

// kinds lists all that established connections do that a cluster may get wrong.
var kinds = []kind{
	{"busy", steady, steady},
	{"idle, then used", late, answer},
	{"server speaks after idling", answer, late},
	{"closed by the client", shut, steady},
	{"closed by the server", steady, shut},
}
