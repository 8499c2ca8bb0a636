package main

import "context"

// bootServer is provisiond, seen from a machine that it boots over the network: it
// decides what the machine boots next, once it knows how this version does (S-104).
type bootServer interface {
	// Booted tells how this version does; failed is empty if it is well. The answer
	// is the version that the machine boots next if nothing new comes.
	Booted(ctx context.Context, version, failed string) (committed string, err error)
}

// servedBy is the boot server of this machine; nil: it boots from a disk.
func servedBy() bootServer { return nil }
