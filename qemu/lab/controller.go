package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/qemu/netns"
	"weir/qemu/topology"
	"weir/services/api"
	"weir/services/identity"
)

// operatorID is who the lab itself is to the configuration service.
const operatorID = "lab"

// pkiDir holds the cluster's authority and everybody's certificates.
func (l *Lab) pkiDir() string { return filepath.Join(l.Dir, "pki") }

// files names somebody's certificate.
func (l *Lab) certificate(role identity.Role, id string) identity.Files {
	base := filepath.Join(l.pkiDir(), string(role)+"-"+id)
	return identity.Files{CA: filepath.Join(l.pkiDir(), "ca.crt"), Cert: base + ".crt", Key: base + ".key"}
}

// issue makes a machine's certificate.
func (l *Lab) issue(role identity.Role, id string, addresses ...netip.Addr) (topology.Certificate, error) {
	var names []string
	for _, a := range addresses {
		names = append(names, a.String())
	}
	f, err := identity.Issue(l.pkiDir(), role, id, names)
	return topology.Certificate{CA: f.CA, Cert: f.Cert, Key: f.Key}, err
}

// makeAuthority makes a new authority, and certificates for the controller and
// for the operator.
func (l *Lab) makeAuthority() error {
	if err := os.RemoveAll(l.pkiDir()); err != nil {
		return fmt.Errorf("make the authority: %w", err)
	}
	if err := identity.CreateCA(l.pkiDir(), topology.ClusterName); err != nil {
		return err
	}
	_, err := identity.Issue(l.pkiDir(), identity.Operator, operatorID, nil)
	return err
}

func (l *Lab) prepareController() error {
	if err := l.prepareDir(topology.ControllerID); err != nil {
		return err
	}
	certificate, err := l.issue(identity.Configd, topology.ControllerID, l.Top.Controller.Addr(), l.Top.ControllerControl.Addr())
	if err != nil {
		return err
	}
	dir := l.machineDir(topology.ControllerID)
	text, err := l.Top.ConfigdYAML(topology.ControllerPaths{Certificate: certificate, State: filepath.Join(dir, "state")})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "configd.yaml"), text)
}

func (l *Lab) wireController() error {
	if err := addNamespace(topology.ControllerName, everywhere); err != nil {
		return err
	}
	if err := plug(topology.ControllerName, "eth0", topology.ControllerID, southLAN); err != nil {
		return err
	}
	return netns.Address(topology.ControllerName, "eth0", l.Top.Controller)
}

// startController starts configd and gives it the cluster file.
func (l *Lab) startController(ctx context.Context) (*running, error) {
	r, err := l.start(l.ourProgram(topology.ControllerID, configdName))
	if err != nil {
		return nil, err
	}
	return r, waitFor(ctx, l.kind.patience(), []*running{r}, func() error { return l.apply(ctx) })
}

// ConfigClient calls the configuration service as an operator. Close the
// connection after use.
func (l *Lab) ConfigClient() (api.ConfigClient, *grpc.ClientConn, error) {
	me, err := identity.Load(l.certificate(identity.Operator, operatorID))
	if err != nil {
		return nil, nil, err
	}
	dial := netns.Dialer(topology.ControllerName, net.Dialer{})
	conn, err := grpc.NewClient("passthrough:///"+l.Top.ConfigService().String(),
		grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Configd))),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) }))
	if err != nil {
		return nil, nil, fmt.Errorf("call the configuration service: %w", err)
	}
	return api.NewConfigClient(conn), conn, nil
}

// apply puts the cluster as it is now described in force, and leaves the text
// in cluster.yaml. What it removes was removed on purpose.
func (l *Lab) apply(ctx context.Context) error {
	text, err := l.Top.ClusterYAML()
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(l.Dir, "cluster.yaml"), text); err != nil {
		return err
	}
	client, conn, err := l.ConfigClient()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	now, err := client.Get(ctx, &api.GetRequest{})
	if err == nil {
		_, err = client.Apply(ctx, &api.ApplyRequest{Cluster: text, File: "cluster.yaml", AllowRemoval: true, ExpectedRevision: now.Revision})
	}
	if err != nil {
		return errors.Join(errors.New("apply the cluster file"), err)
	}
	return nil
}
