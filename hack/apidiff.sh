#!/usr/bin/env bash
# Compares the API of the stable packages (docs/api.md) with that of the last tag, and fails on
# incompatible changes unless the next version may have some: an entry below "### Changed" or
# "### Removed" of the unreleased part of CHANGELOG.md says so, before v1.0.0. Its argument is
# the package of apidiff, with a version.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
if ! tag=$(git describe --tags --abbrev=0 2>/dev/null); then
	echo "apidiff: no tag to compare with yet"
	exit 0
fi
work=$(mktemp -d)
trap 'git worktree remove --force "$work/old" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/old" "$tag"
incompatible=
for package in ./cluster ./apis/config/v1alpha1; do
	[ -d "$work/old/$package" ] || continue # it is new
	(cd "$work/old" && $go run "$1" -w "$work/api" "$package")
	changes=$($go run "$1" -incompatible "$work/api" "$package")
	[ -z "$changes" ] || incompatible+="$package since $tag:"$'\n'"$changes"$'\n'
done
[ -n "$incompatible" ] || exit 0
echo "$incompatible"
if [[ $tag == v0.* ]] && sed '/^## Unreleased/,/^## [^U]/!d' CHANGELOG.md | grep -qE '^### (Changed|Removed)'; then
	echo "CHANGELOG.md lists changes: add these if they are not among them"
	exit 0
fi
echo "these changes need a new major version, or before v1.0.0 an entry in CHANGELOG.md"
exit 1
