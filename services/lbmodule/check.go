package main

import (
	"fmt"

	"weir/services/config"
	"weir/services/identity"
	"weir/services/lbmodule/bpf"
	"weir/services/program"
)

// check tells whether this lbmodule could take over the server with this
// configuration, without changing anything: whether the files are good, and, if
// an agent of another version left its data path, whether it fits. An upgrade
// asks before it ends the agent that runs.
func check(path string) error {
	file, err := config.LoadModule(path)
	if err != nil {
		return program.ConfigError(err)
	}
	if file.Service.InUse() {
		_, err = identity.Load(identity.Files{CA: file.Service.CA, Cert: file.Service.Cert, Key: file.Service.Key})
	} else {
		err = checkCluster(file)
	}
	if err != nil {
		return program.ConfigError(err)
	}
	if err := bpf.Compatible(file.BPFDir); err != nil {
		return err
	}
	fmt.Println(path + " is good")
	return nil
}

func checkCluster(file *config.Module) error {
	cluster, err := config.LoadCluster(file.ClusterFile)
	if err != nil {
		return err
	}
	_, err = join(file, cluster)
	return err
}
