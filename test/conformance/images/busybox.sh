#!/usr/bin/env bash
# busybox.sh OUT: builds the busybox of the suite's images from Debian's source.
# Debian's own build runs its applets whatever PATH says and drops variables whose
# names are not a shell's; specs call nc and env, and know the words of its shell.
set -euo pipefail
missing=()
for p in curl bzip2 make gcc; do command -v $p >/dev/null || missing+=($p); done
[ ${#missing[@]} -eq 0 ] || apt-get install -y -qq "${missing[@]}" >/dev/null
out=$(realpath -m "$1")
version=1.35.0
sum=faeeb244c35a348a334f4a59e44626ee870fb07b6884d68c10ae8bc19f83a694
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
curl -fsSL --retry 3 -o src "http://deb.debian.org/debian/pool/main/b/busybox/busybox_$version.orig.tar.bz2"
echo "$sum  src" | sha256sum -c --quiet
tar xjf src
cd "busybox-$version"
make -s defconfig >/dev/null
# tc does not compile against this kernel's headers, and nothing calls it.
sed -i 's/# CONFIG_STATIC is not set/CONFIG_STATIC=y/; s/CONFIG_TC=y/# CONFIG_TC is not set/' .config
make -s -j2 busybox >/dev/null 2>log || { tail log; exit 1; }
mkdir -p "$(dirname "$out")"
cp busybox "$out"
