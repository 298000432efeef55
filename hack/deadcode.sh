#!/usr/bin/env bash
# Fails on functions that neither a program nor a test of the public packages reaches:
# what only the tests of its own package call is dead. Its argument is the package of
# deadcode, with a version.
set -euo pipefail
cd "$(dirname "$0")/.."
# Called by what is not looked at:
#   test/mangle: fuzz targets of all packages
#   EncodeTypes, toWire, toWireRef: apiserver/openapi/gen, which needs generated code
#   QOSShares: nobody yet; weights of the QoS classes follow with those of all pods
but='^test/mangle/|: (EncodeTypes|toWire|toWireRef|QOSShares)$'
dead=$(${GO:-go} run "$1" -test ./cmd/... ./cluster/... ./test/...)
if grep -vE "$but" <<<"$dead" | grep .; then
	echo "delete what nothing calls, or move what only tests call into them"
	exit 1
fi
