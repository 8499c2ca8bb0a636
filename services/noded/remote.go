package main

import (
	"fmt"
	"net"
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/services/identity"
)

// adminPort is where the admin API is, for who shows an operator's certificate (contract).
const adminPort = 6090

// remote is the admin API on the fabric.
type remote struct {
	listener net.Listener
	server   *grpc.Server
}

// listenRemote opens the admin API for operators elsewhere. A node without a
// certificate has none: nil.
func (n *node) listenRemote() (*remote, error) {
	s := &n.file.Service
	if s.Cert == "" {
		return nil, nil
	}
	me, err := identity.Load(identity.Files{CA: s.CA, Cert: s.Cert, Key: s.Key})
	if err != nil {
		return nil, err
	}
	at := netip.AddrPortFrom(n.cluster.Member(n.file.Node).South, adminPort)
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("listen for operators on %s: %w", at, err)
	}
	return &remote{l, grpc.NewServer(grpc.Creds(credentials.NewTLS(me.Server(identity.Operator))))}, nil
}
