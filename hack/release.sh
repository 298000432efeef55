#!/usr/bin/env bash
# Builds what a release consists of into build/release: an archive for each system, with the
# binary, its documents and an SBOM (CycloneDX) for each program inside, and SHA256SUMS. The
# version is the tag of the commit; without one, Go's pseudo-version of it. Its argument is the
# package of cyclonedx-gomod, with a version.
#
# The same commit gives the same archives: names, times and owners are fixed, and the sources
# are those of the commit, in a clone for each system. (In a worktree Go finds no version.)
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/build/release go=${GO:-go} sbom=$1
[ -z "$(git status --porcelain)" ] || { echo "the work tree has changes: commit or stash them, a release is of a commit" >&2; exit 1; }

commit=$(git rev-parse HEAD)

rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GOBIN=$work/.bin GOFLAGS= $go install "$sbom"

# archive builds for one system and packs it.
archive() {
	local os=$1 arch=$2 src=$work/$1-$2
	echo "building for $os/$arch"
	git clone --quiet --shared --no-checkout . "$src"
	git -C "$src" checkout --quiet "$commit"
	[ "$os" != linux ] || hack/packages.sh "$arch"
	(
		cd "$src"
		export GOOS=$os GOARCH=$arch
		if [ "$os" = linux ] && [ "$arch" != "$($go env GOHOSTARCH)" ]; then
			local target
			target=$(hack/packages.sh --target "$arch")
			export CC=$target-gcc PKG_CONFIG_LIBDIR=/usr/lib/$target/pkgconfig
		fi
		make --no-print-directory build
	)
	local version name dir
	version=$($go version -m "$src/bin/coracle" | awk '$1 == "mod" {print $3}')
	name=coracle-$version-$os-$arch
	dir=$src/build/$name
	mkdir -p "$dir/sbom"
	cp "$src"/{README.md,CHANGELOG.md,LICENSE} "$src/bin/coracle" "$dir"
	for program in "$dir/coracle" $(find "$src/build/node/bin" -type f 2>/dev/null | sort); do
		"$work/.bin/cyclonedx-gomod" bin -json -noserial -output-version 1.5 -output "$dir/sbom/$(basename "$program").cdx.json" "$program" 2>"$work/.log" || { cat "$work/.log" >&2; exit 1; }
	done
	tar -C "$src/build" --sort=name --mtime="@$(git log -1 --format=%ct "$commit")" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -c "$name" | gzip -9n >"$out/$name.tar.gz"
	rm -rf "$src"
}

archive linux amd64
archive linux arm64
archive darwin arm64
cd "$out"
sha256sum ./*.tar.gz | sed 's| \./| |' >SHA256SUMS
ls -l "$out"
