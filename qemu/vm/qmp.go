package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// QMP is a conversation with a machine's monitor (QEMU's qmp-spec.txt). QEMU
// serves one at a time.
type QMP struct {
	conn   net.Conn
	dec    *json.Decoder
	events []Event // not yet asked for
}

// Event is something that QEMU told without being asked: "WATCHDOG", "RESET".
type Event struct {
	Name string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

type qmpMessage struct {
	Event
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class, Desc string
	} `json:"error"`
}

// QMP connects to the monitor.
func (m *Machine) QMP(ctx context.Context) (*QMP, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", m.QMPSocket())
	if err != nil {
		return nil, fmt.Errorf("connect to the monitor of %s: %w", m.Name, err)
	}
	q := &QMP{conn: conn, dec: json.NewDecoder(conn)}
	var greeting struct{ QMP json.RawMessage }
	q.until(ctx)
	if err := q.dec.Decode(&greeting); err != nil || greeting.QMP == nil {
		conn.Close()
		return nil, fmt.Errorf("connect to the monitor of %s: no greeting: %w", m.Name, err)
	}
	if _, err := q.Execute(ctx, "qmp_capabilities", nil); err != nil {
		conn.Close()
		return nil, err
	}
	return q, nil
}

// Close ends the conversation.
func (q *QMP) Close() error { return q.conn.Close() }

// Execute runs a command and returns its result.
func (q *QMP) Execute(ctx context.Context, command string, arguments map[string]any) (json.RawMessage, error) {
	q.until(ctx)
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(q.conn).Encode(request); err != nil {
		return nil, fmt.Errorf("monitor command %s: %w", command, err)
	}
	for {
		var m qmpMessage
		if err := q.dec.Decode(&m); err != nil {
			return nil, fmt.Errorf("monitor command %s: %w", command, err)
		}
		switch {
		case m.Error != nil:
			return nil, fmt.Errorf("monitor command %s: %s", command, m.Error.Desc)
		case m.Name != "":
			q.events = append(q.events, m.Event)
		default:
			return m.Return, nil
		}
	}
}

// Await returns the next event of that name.
func (q *QMP) Await(ctx context.Context, name string) (Event, error) {
	q.until(ctx)
	for {
		for i, e := range q.events {
			if e.Name == name {
				q.events = q.events[i+1:]
				return e, nil
			}
		}
		var m qmpMessage
		if err := q.dec.Decode(&m); err != nil {
			return Event{}, fmt.Errorf("wait for %s from the monitor: %w", name, err)
		}
		q.events = append(q.events, m.Event)
	}
}

// Link plugs the cable of a NIC in, or out: the guest sees its carrier.
func (q *QMP) Link(ctx context.Context, nic string, up bool) error {
	_, err := q.Execute(ctx, "set_link", map[string]any{"name": nic + "-nic", "up": up})
	return err
}

// until bounds the next reads and writes by the context's deadline.
func (q *QMP) until(ctx context.Context) {
	deadline, _ := ctx.Deadline() // none: the zero time, which is no limit
	q.conn.SetDeadline(deadline)
}

// Link plugs the cable of a machine's NIC in, or out.
func (m *Machine) Link(nic string, up bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	q, err := m.QMP(ctx)
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Link(ctx, nic, up)
}
