# Everything is built into build/ and nothing outside of the tree is changed,
# except by deps (installs packages) and by the labs (which clean up).

SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION := $(shell cat VERSION)
BIN := build/bin
FUZZTIME ?= 30s
SEEDS ?= 100
FROM ?= 1

export GOAMD64 := v3
export GOFLAGS := -buildvcs=false
export LB_NODES ?= 3
export SERVERS ?= 4

LDFLAGS := -s -w -X weir/services/version.Version=$(VERSION)
# A driver that registers itself from an object that nothing can name: see
# dataplane/dpdk/drivers.c. The group is what that archive needs in turn.
NET_VIRTIO := -Wl,--whole-archive -l:librte_net_virtio.a -Wl,--no-whole-archive -Wl,--start-group \
	-l:librte_bus_pci.a -l:librte_bus_vdev.a -l:librte_ethdev.a -l:librte_net.a -l:librte_mbuf.a -l:librte_mempool.a -l:librte_ring.a \
	-l:librte_pci.a -l:librte_eal.a -l:librte_telemetry.a -l:librte_kvargs.a -l:librte_meter.a -Wl,--end-group -lbsd -lmd -lnuma -lm
# The same sources make the same programs wherever they lie.
GOBUILD := go build -trimpath -ldflags
TREE := ./dataplane/... ./services/... ./init/... ./image/... ./qemu/... ./firmware/... ./provisioning/...

# What a fresh Debian 12 lacks. Reasons: docs/dependencies.md.
PACKAGES := build-essential ca-certificates pkg-config \
	libdpdk-dev dpdk dpdk-dev libnuma-dev libbsd-dev \
	clang-14 llvm-14 libbpf-dev linux-libc-dev \
	iproute2 ethtool bpftool procps util-linux curl \
	frr nginx-light libnginx-mod-http-echo \
	wrk iperf3 tcpdump nftables etcd-server \
	qemu-system-x86 ovmf ipxe-qemu systemd-boot-efi \
	zstd kmod binutils mtools dosfstools gdisk e2fsprogs \
	dnsmasq-base ipxe busybox \
	systemd debootstrap sbsigntool swtpm

.PHONY: help deps have-deps node build image bundle deb check test test-long run pxe-run upgrade-run up down lab-run chaos lab-up lab-down lab-status bench sim fuzz fmt vet clean

help: ## this list
	@echo "Weir $(VERSION). As root:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile
	@echo "Variables: LB_NODES (now $(LB_NODES)), SERVERS (now $(SERVERS)), FUZZTIME (now $(FUZZTIME)), QEMU_ACCEL (auto, tcg or kvm), TRUST (root.json of updates; else development keys), SIGN (folder of keys for Secure Boot)"

deps: ## install what a fresh Debian 12 lacks (packages, nothing else)
	@PACKAGES="$(PACKAGES)" ./qemu/deps.sh install

# Every target that needs packages looks first, and installs only if one is missing.
have-deps:
	@PACKAGES="$(PACKAGES)" ./qemu/deps.sh check || $(MAKE) --no-print-directory deps
	@PACKAGES="$(PACKAGES)" ./qemu/deps.sh go

build: node ## all programs into build/bin
	CGO_ENABLED=0 $(GOBUILD) '$(LDFLAGS)' -o $(BIN)/ ./services/lbmodule ./services/configd ./provisioning/provisiond ./qemu/weir-lab ./qemu/weir-test

# What a node runs, and what makes its image.
node: have-deps
	@mkdir -p $(BIN)
	$(GOBUILD) '$(LDFLAGS) -extldflags "$(NET_VIRTIO)"' -o $(BIN)/dataplane ./dataplane
	CGO_ENABLED=0 $(GOBUILD) '$(LDFLAGS)' -o $(BIN)/ ./init ./services/noded ./services/updated ./services/weirctl ./image/weir-image ./firmware/weir-bundle \
		$(patsubst %/main.go,./%,$(wildcard services/console/main.go))

# It takes updates that the keys of TRUST=root.json have signed, or else development
# keys, which are made on first use and lie in build/keys. SIGN=FOLDER signs it for
# Secure Boot with the keys in the folder (weir-bundle secureboot keys).
image: node ## the appliance image into build/image, and a list of what is in it
	@$(if $(TRUST),,$(BIN)/weir-bundle keys)
	$(BIN)/weir-image $(if $(TRUST),-trust $(TRUST)) $(if $(SIGN),-sign $(SIGN)) $(if $(LOCK),-update-lock) $(if $(FIRMWARE),-firmware $(FIRMWARE))

bundle: image ## the image as a signed update: build/weir-VERSION.bundle, and build/repository
	$(BIN)/weir-bundle release $(if $(FLOOR),--floor $(FLOOR))

deb: have-deps ## the LB module's Debian package into build/deb
	@mkdir -p build/deb
	CGO_ENABLED=0 GOAMD64=v1 $(GOBUILD) '$(LDFLAGS)' -o build/deb/lbmodule ./services/lbmodule
	go run ./services/lbmodule/deb/weir-deb -program build/deb/lbmodule

check: build ## the quick tests (under 3 minutes)
	$(BIN)/weir-test -quick

test: build image ## every test: unit, fuzz seeds, simulation, namespace lab, the image
	$(BIN)/weir-test $(if $(NO_SKIPS),-no-skips)

test-long: build image ## what takes hours: power cuts at 200 moments, each with a boot, and the like
	$(BIN)/weir-test -long $(if $(NO_SKIPS),-no-skips)

run: build image ## the whole story: nodes boot in QEMU, clients call, one node loses its power, tables, clean up
	$(BIN)/weir-lab -qemu run

pxe-run: build image ## empty machines boot over the network by every firmware, are approved, and join a running cluster; a table
	$(BIN)/weir-lab pxe

upgrade-run: build image ## a cluster under traffic goes to a new version and back, node by node; the time of each, and what was lost
	$(BIN)/weir-lab upgrade

up: build image ## start the same cluster in QEMU and leave it running
	$(BIN)/weir-lab -qemu up

down: ## remove it
	@test ! -x $(BIN)/weir-lab || $(BIN)/weir-lab down

lab-run: build ## the same story with the nodes' programs run natively in network namespaces
	$(BIN)/weir-lab run

chaos: build ## disturb a lab for DURATION in the order of SEED; what connections noticed
	$(BIN)/weir-lab $(if $(DURATION),-duration $(DURATION)) $(if $(SEED),-seed $(SEED)) chaos

lab-up: build ## start the namespace lab and leave it running
	$(BIN)/weir-lab up

lab-down: ## remove the namespace lab
	@test ! -x $(BIN)/weir-lab || $(BIN)/weir-lab down

lab-status: ## what the running lab consists of
	@$(BIN)/weir-lab status

bench: build ## benchmarks: a table, and build/bench.json
	./dataplane/bench/run.sh

sim: have-deps ## SEEDS simulated clusters in which everything fails; or SEED=n, or EXPLORE=3
	@mkdir -p $(BIN)
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/weir-sim ./services/simulation/weir-sim
	$(BIN)/weir-sim $(if $(EXPLORE),-explore $(EXPLORE),$(if $(SEED),-seed $(SEED) $(if $(PCAPNG),-pcapng $(PCAPNG)),-seeds $(SEEDS) -from $(FROM)))

fuzz: have-deps ## every fuzz target for FUZZTIME each
	@for package in $$(go list $(TREE)); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

fmt: ## format all Go code
	gofmt -w dataplane services init image qemu firmware provisioning

vet: have-deps ## look for mistakes
	go vet $(TREE)

clean: down ## remove build/
	rm -rf build
