#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other: fuzz.sh TIME [REGEXP].
# It goes on after a target that fails, and fails in the end.
set -u -o pipefail
time=${1:-30s} only=${2:-.} failed=()
while IFS=: read -r file target; do
  [[ $target =~ $only ]] || [[ $file =~ $only ]] || continue
  package=./$(dirname "$file")
  echo "== $package $target"
  "${GO:-go}" test -vet=off -run '^$' -fuzz "^$target\$" -fuzztime "$time" -parallel "${PARALLEL:-$(nproc)}" "$package" | grep -v '^fuzz: elapsed: 0s' || failed+=("$package $target")
done < <(git grep -oE '^func Fuzz[A-Za-z0-9_]*' -- '*_test.go' | sed 's/func //')
((${#failed[@]} == 0)) || { printf 'failed: %s\n' "${failed[@]}"; exit 1; }
