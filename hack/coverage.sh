#!/usr/bin/env bash
# Writes into docs/testing.md how much of each part tests run: those of the package itself, and
# the suites that run a whole cluster. Real nodes count where this is root.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
own=$(mktemp) suites=$(mktemp)
trap 'rm -f "$own" "$suites"' EXIT
parts=./apis/...,./apiserver/...,./controllers/...,./scheduler/...,./nodeagent/...,./proxy/...,./dns/...,./carried/...,./cluster/...,./cmd/...
$go test -vet=off -count 1 -timeout 30m -coverprofile "$own" ${parts//,/ } >/dev/null
$go test -vet=off -count 1 -timeout 30m -coverpkg "$parts" -coverprofile "$suites" ./cluster ./test/controllers ./test/controlplane ./test/operator ./test/node >/dev/null
table=$($go run ./test/coverage "$own" "$suites")
text=$(sed '/^<!-- coverage -->$/q' docs/testing.md)
printf '%s\n\n%s\n\n%s\n' "$text" "As of $(date +%F), $(git rev-parse --short HEAD):" "$table" >docs/testing.md
