package config

import (
	"net/netip"
)

// ConfigService says where the configuration service is, and who we are to it:
// the alternative to a cluster file (S-112).
type ConfigService struct {
	Addresses []netip.AddrPort `yaml:"addresses" need:"yes"` // of its front-ends; any of them will do
	CA        string           `yaml:"ca" need:"yes"`        // the cluster's CA; relative to this file, absolute after loading, as the next two
	Cert      string           `yaml:"cert" need:"yes"`
	Key       string           `yaml:"key" need:"yes"`
}

// InUse reports whether the configuration comes from the service.
func (s *ConfigService) InUse() bool { return len(s.Addresses) > 0 }

// validate checks that a file names exactly one source of the cluster's configuration.
func (s *ConfigService) validate(d *document, clusterFile string) {
	_, file := d.lines["cluster_file"]
	_, service := d.lines["config_service"]
	switch {
	case file && service:
		d.fail("config_service", "remove one of them", "cluster_file is given too, and the configuration has one source")
	case !file && !service:
		d.fail("cluster_file", "add it, or config_service", "is missing")
	case file:
		d.notEmpty("cluster_file", clusterFile)
	default:
		if len(s.Addresses) == 0 {
			d.fail("config_service.addresses", "add at least one", "no addresses")
		}
		d.notEmpty("config_service.ca", s.CA)
		d.notEmpty("config_service.cert", s.Cert)
		d.notEmpty("config_service.key", s.Key)
	}
}

// resolve makes the paths absolute.
func (s *ConfigService) resolve(file string) {
	if s.InUse() {
		s.CA, s.Cert, s.Key = relativeTo(file, s.CA), relativeTo(file, s.Cert), relativeTo(file, s.Key)
	}
}
