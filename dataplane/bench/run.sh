#!/bin/bash
# Builds the benchmarks into build/bench/ and runs them: a table, and build/bench.json.
# Arguments go to weirbench (weirbench -h lists them). Root is needed for DPDK.
set -eu
cd "$(dirname "$0")/../.."
export GOAMD64=v3 GOFLAGS="${GOFLAGS:--buildvcs=false -trimpath}"
out=build/bench
pages_file=/proc/sys/vm/nr_hugepages
need=200 # huge pages of 2 MiB: two programs at a time, of which rtehash with a million flows takes most

if [ "$(id -u)" -ne 0 ]; then
	echo "run.sh: DPDK needs root; run as root" >&2
	exit 1
fi
mkdir -p "$out"
go build -o "$out/weirbench" ./dataplane/bench/weirbench
gcc -O3 -march=x86-64-v3 -Wall -Wextra -o "$out/rtehash" $(pkg-config --cflags libdpdk) dataplane/bench/rtehash/main.c $(pkg-config --libs libdpdk)

# Huge pages for the run only; ordinary memory where there are none.
before=$(cat "$pages_file")
restore() { echo "$before" >"$pages_file" 2>/dev/null || true; }
trap restore EXIT
trap 'exit 130' INT TERM
free() { awk '/^HugePages_Free:/ {f = $2} /^Hugepagesize:/ {s = $2} END {print (s == 2048) ? f : 0}' /proc/meminfo; }
memory=
if [ "$(free)" -lt "$need" ]; then
	echo $((before + need - $(free))) >"$pages_file" 2>/dev/null || true
fi
if [ "$(free)" -lt "$need" ]; then
	echo "run.sh: no $need free huge pages; using ordinary memory" >&2
	memory=-no-huge
fi
"$out/weirbench" -rtehash "$out/rtehash" -json build/bench.json $memory "$@"
