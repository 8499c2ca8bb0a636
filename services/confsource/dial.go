package confsource

import (
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"weir/services/identity"
)

// dial calls one of several front-ends, and another one when that is gone. Each
// machine has an order of its own, so that they spread.
func dial(me *identity.Identity, addresses []netip.AddrPort) (*grpc.ClientConn, error) {
	var list []resolver.Address
	for _, i := range mathrand.Perm(len(addresses)) {
		// The certificate is for the address that is called.
		list = append(list, resolver.Address{Addr: addresses[i].String(), ServerName: addresses[i].Addr().String()})
	}
	all := manual.NewBuilderWithScheme("weir")
	all.InitialState(resolver.State{Addresses: list})
	conn, err := grpc.NewClient(all.Scheme()+":///config-service", grpc.WithResolvers(all),
		grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Configd))),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: retryShortest, Multiplier: 1.6, Jitter: 0.5, MaxDelay: retryLongest},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}))
	if err != nil {
		return nil, fmt.Errorf("call the configuration service: %w", err)
	}
	return conn, nil
}
