#!/bin/bash
# What "make deps" does. Usage: PACKAGES="…" deps.sh check|install|go
set -euo pipefail

# missing prints the packages that are not installed.
missing() {
	local package
	for package in $PACKAGES; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
	done
}

die() {
	echo "make deps: $1" >&2
	exit 1
}

case "${1:-}" in
check)
	[ -z "$(missing)" ]
	;;
install)
	packages=$(missing)
	[ -n "$packages" ] || exit 0
	[ "$(id -u)" = 0 ] || die "installing packages needs root: run it with sudo"
	# shellcheck disable=SC2086
	echo "installing:" $packages
	# FRR and nginx run inside the lab only: keep their packages from starting
	# them on this machine.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	# shellcheck disable=SC2086
	apt-get install -q -y --no-install-recommends $packages
	;;
go)
	command -v go >/dev/null || die "Go 1.26 or newer is not in PATH: install it from https://go.dev/dl"
	;;
*)
	die "usage: deps.sh check|install|go"
	;;
esac
