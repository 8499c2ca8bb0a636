// Package store keeps what the configuration service knows in etcd (S-112):
// the cluster file, the keys, and who has registered. Nothing in it hangs on a
// lease, so an outage deregisters nobody.
package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	"weir/services/config"
)

// startTimeout bounds the start of the embedded etcd, which may have to read its log.
const startTimeout = time.Minute

// Embedded starts an etcd of one member in this process, with its data in dir.
// It listens nowhere: the only way to it is the client. The close ends it.
func Embedded(ctx context.Context, dir string) (c *clientv3.Client, close func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the data directory of etcd: %w", err)
	}
	conf := embed.NewConfig()
	conf.Name, conf.Dir = "configd", filepath.Join(dir, "etcd")
	conf.ListenClientUrls, conf.AdvertiseClientUrls = nil, nil
	conf.ListenPeerUrls = nil
	conf.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "localhost:2380"}} // a member has a name in the form of a URL
	conf.InitialCluster = conf.InitialClusterFromName(conf.Name)
	conf.AutoCompactionMode, conf.AutoCompactionRetention = "periodic", "1h" // reports of registered machines would fill it
	conf.LogLevel, conf.LogOutputs = "error", []string{"stderr"}
	conf.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop()) // its failures are returned or end it; the rest is chatter
	e, err := embed.StartEtcd(conf)
	if err != nil {
		return nil, nil, fmt.Errorf("start the embedded etcd in %s: %w", conf.Dir, err)
	}
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		e.Close()
		return nil, nil, fmt.Errorf("start the embedded etcd: %w", err)
	case <-time.After(startTimeout):
		e.Close()
		return nil, nil, fmt.Errorf("the embedded etcd is not ready after %s", startTimeout)
	case <-ctx.Done():
		e.Close()
		return nil, nil, ctx.Err()
	}
	c = v3client.New(e.Server)
	return c, func() { c.Close(); e.Close() }, nil
}

// External connects to an etcd cluster. Whether it answers shows with the first question.
func External(conf *config.Etcd) (*clientv3.Client, error) {
	c := clientv3.Config{
		Endpoints: conf.Endpoints, DialTimeout: 3 * time.Second, Logger: zap.NewNop(),
		// A member that vanished without a word is noticed.
		DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
	}
	if conf.CA != "" {
		t, err := clientTLS(conf)
		if err != nil {
			return nil, err
		}
		c.TLS = t
	}
	client, err := clientv3.New(c)
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	return client, nil
}

func clientTLS(conf *config.Etcd) (*tls.Config, error) {
	text, err := os.ReadFile(conf.CA)
	if err != nil {
		return nil, fmt.Errorf("read the authority of etcd: %w", err)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !t.RootCAs.AppendCertsFromPEM(text) {
		return nil, errors.New(conf.CA + " holds no certificate in PEM")
	}
	if conf.Cert != "" {
		pair, err := tls.LoadX509KeyPair(conf.Cert, conf.Key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate for etcd: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
