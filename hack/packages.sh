#!/usr/bin/env bash
# Installs the few Debian packages that real nodes and the build of runc need;
# on other systems, or without root, it names what is missing. With an architecture as
# its argument, such as arm64, those to build runc for that one. With --target and an
# architecture it prints the prefix of that architecture's compiler.
set -euo pipefail
target() { case $1 in amd64) echo x86_64-linux-gnu ;; arm64) echo aarch64-linux-gnu ;; *) echo "no compiler is known for $1" >&2; return 1 ;; esac; }
[ "${1:-}" != --target ] || { target "$2"; exit; }
missing=()
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need nft nftables
need ip iproute2
need gcc gcc
need pkg-config pkg-config
need mount mount
[ -e /usr/include/seccomp.h ] || missing+=(libseccomp-dev)
arch=${1:-}
if [ -n "$arch" ] && [ "$arch" != "$(dpkg --print-architecture)" ]; then
	prefix=$(target "$arch")
	need "$prefix-gcc" "gcc-${prefix/_/-}"
	[ -e "/usr/lib/$prefix/libseccomp.a" ] || missing+=("libseccomp-dev:$arch")
fi
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	if [ -n "$arch" ]; then
		dpkg --add-architecture "$arch"
		apt-get update -qq
	fi
	apt-get install -y -qq "${missing[@]}" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "${missing[@]}" >/dev/null; }
else
	echo "missing: ${missing[*]} (Debian's names). Install them and run again; building and running without real nodes needs none:" >&2
	echo "  go build -o bin/coracle ./cmd/coracle && bin/coracle up --nodes 0 --simulated-nodes 1" >&2
	exit 1
fi
