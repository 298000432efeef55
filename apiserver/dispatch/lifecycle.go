package dispatch

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/endpoints/deprecation"

	"github.com/coracle-k8s/coracle/apis"
)

// lifecycle is the deprecation and removal of one of the API's kinds. Requests
// for a deprecated kind are answered with a warning, counted in
// apiserver_requested_deprecated_apis and marked in the audit log.
type lifecycle struct {
	deprecated       bool
	removed, warning string
}

// lifecycleOf reads the life cycle that k8s.io/api generates into the types; kinds
// that are not in the scheme have none.
func lifecycleOf(scheme *runtime.Scheme, gvk schema.GroupVersionKind) lifecycle {
	obj, err := scheme.New(gvk)
	if err != nil {
		return lifecycle{}
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	now := version.MustParseSemantic(apis.KubernetesVersion)
	if !deprecation.IsDeprecated(obj, int(now.Major()), int(now.Minor())) {
		return lifecycle{}
	}
	return lifecycle{true, deprecation.RemovedRelease(obj), deprecation.WarningMessage(obj)}
}
