package bgp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// errHold says that the router was silent for the hold time.
var errHold = errors.New("nothing heard for the hold time")

// headerSize is the size of a message header in bytes (RFC 4271, 4.1).
const headerSize = 19

// message is one that was read.
type message struct {
	kind uint8
	body []byte
}

// notified is a NOTIFICATION of the router.
type notified struct{ code, subcode uint8 }

func (n *notified) Error() string {
	return fmt.Sprintf("the router sent notification %d/%d (RFC 4271, 4.5)", n.code, n.subcode)
}

// read reads one message; a NOTIFICATION is an error.
func read(conn net.Conn) (message, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(conn, h[:]); err != nil {
		return message{}, err
	}
	n := int(binary.BigEndian.Uint16(h[16:]))
	if n < headerSize || n > bgp.BGP_MAX_MESSAGE_LENGTH {
		return message{}, fmt.Errorf("the router sent a message of %d bytes", n)
	}
	m := message{kind: h[18], body: make([]byte, n-headerSize)}
	if _, err := io.ReadFull(conn, m.body); err != nil {
		return message{}, err
	}
	if m.kind == bgp.BGP_MSG_NOTIFICATION && len(m.body) >= 2 {
		return message{}, &notified{m.body[0], m.body[1]}
	}
	return m, nil
}

// readOpen reads the router's OPEN.
func readOpen(conn net.Conn) (*bgp.BGPOpen, error) {
	m, err := read(conn)
	if err != nil {
		return nil, err
	}
	if m.kind != bgp.BGP_MSG_OPEN {
		return nil, fmt.Errorf("the router sent message type %d where its OPEN belongs", m.kind)
	}
	open := &bgp.BGPOpen{}
	if err := open.DecodeFromBytes(m.body); err != nil {
		return nil, fmt.Errorf("read the router's OPEN: %w", err)
	}
	return open, nil
}

// listen reads until the session is lost, and says why. What the router
// announces is not looked at; refresh is told when it wants ours again (RFC 2918).
func listen(conn net.Conn, hold time.Duration, refresh chan<- struct{}) error {
	for {
		deadline := time.Time{}
		if hold > 0 {
			deadline = time.Now().Add(hold)
		}
		if err := conn.SetReadDeadline(deadline); err != nil {
			return err
		}
		m, err := read(conn)
		var late net.Error
		switch {
		case errors.As(err, &late) && late.Timeout():
			_ = write(conn, bgp.NewBGPNotificationMessage(bgp.BGP_ERROR_HOLD_TIMER_EXPIRED, 0, nil))
			return errHold
		case err != nil:
			return err
		case m.kind == bgp.BGP_MSG_ROUTE_REFRESH:
			select {
			case refresh <- struct{}{}:
			default: // one is pending
			}
		}
	}
}

// write sends one message.
func write(conn net.Conn, m *bgp.BGPMessage) error {
	b, err := m.Serialize()
	if err != nil {
		return fmt.Errorf("build message type %d: %w", m.Header.Type, err)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err = conn.Write(b)
	return err
}
