#!/usr/bin/env bash
# Installs the few Debian packages that real nodes and the build of runc need;
# on other systems, or without root, it names what is missing.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need nft nftables
need ip iproute2
need gcc gcc
need pkg-config pkg-config
need mount mount
[ -e /usr/include/seccomp.h ] || missing+=(libseccomp-dev)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y -qq "${missing[@]}" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "${missing[@]}" >/dev/null; }
else
	echo "missing: ${missing[*]} (Debian's names). Install them and run again; building and running without real nodes needs none:" >&2
	echo "  go build -o bin/coracle ./cmd/coracle && bin/coracle up --nodes 0 --simulated-nodes 1" >&2
	exit 1
fi
