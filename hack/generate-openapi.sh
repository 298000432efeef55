#!/usr/bin/env bash
# Renders apiserver/openapi/data: definitions by openapi-gen, then documents
# and merge schemas by apiserver/openapi/gen.
set -euo pipefail
cd "$(dirname "$0")/.."
defs=apiserver/openapi/gen/defs
header=$(mktemp) && report=$(mktemp)
trap 'rm -f "$header" "$report" "$defs/zz_generated.openapi.go"' EXIT
go tool openapi-gen --output-dir "$defs" --output-pkg "github.com/coracle-k8s/coracle/$defs" \
	--output-file zz_generated.openapi.go --go-header-file "$header" --report-filename "$report" \
	k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1 k8s.io/kube-aggregator/pkg/apis/apiregistration/v1 \
	k8s.io/apimachinery/pkg/apis/meta/v1 k8s.io/apimachinery/pkg/runtime k8s.io/apimachinery/pkg/version \
	k8s.io/apimachinery/pkg/util/intstr k8s.io/apimachinery/pkg/api/resource \
	k8s.io/api/core/v1 k8s.io/api/apps/v1 k8s.io/api/discovery/v1 k8s.io/api/coordination/v1 k8s.io/api/rbac/v1 \
	k8s.io/api/autoscaling/v2 k8s.io/api/batch/v1 k8s.io/api/scheduling/v1alpha3 \
	k8s.io/api/authentication/v1 k8s.io/api/authorization/v1 k8s.io/api/events/v1 k8s.io/api/autoscaling/v1 k8s.io/api/policy/v1 \
	k8s.io/api/admissionregistration/v1 k8s.io/api/certificates/v1 k8s.io/api/flowcontrol/v1 k8s.io/api/resource/v1 k8s.io/api/storagemigration/v1 \
	k8s.io/api/admissionregistration/v1beta1 k8s.io/api/admissionregistration/v1alpha1 k8s.io/api/certificates/v1beta1 \
	k8s.io/api/coordination/v1beta1 k8s.io/api/coordination/v1alpha2 k8s.io/api/apiserverinternal/v1alpha1 \
	k8s.io/api/resource/v1beta2 k8s.io/api/resource/v1beta1 k8s.io/api/resource/v1alpha3 k8s.io/api/storagemigration/v1beta1 \
	k8s.io/api/networking/v1 k8s.io/api/storage/v1 k8s.io/api/scheduling/v1 k8s.io/api/node/v1
go run -tags openapigen ./apiserver/openapi/gen apiserver/openapi/data
