// Package version knows which version of Weir a program is.
package version

// Version is set by the build from the file VERSION:
//
//	-ldflags "-X weir/services/version.Version=…"
var Version = "0.0.0-dev"
