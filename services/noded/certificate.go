package main

import (
	"context"
	"path/filepath"
	"time"

	"weir/provisioning/enrolclient"
	"weir/services/version"
)

// keepCertificate renews the certificate of a machine that was enrolled, until ctx
// ends. One that an operator made is the operator's to renew.
func (f *front) keepCertificate(ctx context.Context) {
	m, err := enrolclient.Recall(filepath.Join(f.file.StateDir, "identity"), version.Version)
	if err != nil {
		return
	}
	k := &enrolclient.Keeper{Log: f.log, Machine: m, Every: enrolclient.LookEvery, Now: time.Now}
	f.certificate.Store(k)
	k.Run(ctx)
}

// certificateFailure is what operators should know of the certificate.
func (f *front) certificateFailure() error {
	if k := f.certificate.Load(); k != nil {
		return k.Failure()
	}
	return nil
}
