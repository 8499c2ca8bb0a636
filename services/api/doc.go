// Package api is what Weir's programs say to each other: gRPC over Unix
// sockets between noded, dataplane and weirctl, gRPC over mutual TLS with
// configd, and the JSON that a module's agent answers. The *.pb.go files are generated; `go generate` makes them anew
// (it needs protoc, and build/tools with the two plugins in PATH).
package api

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative -I . trace.proto dataplane.proto node.proto config.proto machine.proto provision.proto update.proto rollout.proto
