#!/usr/bin/env bash
# Writes what follows from the types of the configuration: their deep copies,
# docs/configuration.md and config/samples/cluster.yaml. Its argument is the package of deepcopy-gen, with a version.
set -euo pipefail
cd "$(dirname "$0")/.."
header=$(mktemp)
trap 'rm -f "$header"' EXIT
${GO:-go} run "$1" --go-header-file "$header" --output-file zz_generated.deepcopy.go ./apis/config/v1alpha1
${GO:-go} run ./test/configuration apis/config/v1alpha1 docs/configuration.md config/samples/cluster.yaml
