package dispatch

import (
	"testing"

	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// TestPaths asks which paths exist, and what may be done there.
func TestPaths(t *testing.T) {
	pods, nodes := &resource{Resource: &registry.Resource{}}, &resource{Resource: &registry.Resource{ClusterScoped: true}}
	for name, c := range map[string]struct {
		resource        *resource
		info            request.RequestInfo
		serves, permits bool
	}{
		"a pod":                     {pods, request.RequestInfo{Verb: "get", Namespace: "n", Name: "p"}, true, true},
		"pods everywhere":           {pods, request.RequestInfo{Verb: "list"}, true, true},
		"pods of a name everywhere": {pods, request.RequestInfo{Verb: "watch", Name: "p"}, true, true},
		"a pod of no namespace":     {pods, request.RequestInfo{Verb: "get", Name: "p"}, false, true},
		"a new pod of no namespace": {pods, request.RequestInfo{Verb: "create"}, true, false},
		"a change without a name":   {pods, request.RequestInfo{Verb: "update", Namespace: "n"}, true, false},
		"all pods' end, everywhere": {pods, request.RequestInfo{Verb: "deletecollection"}, true, false},
		"all pods' end, here":       {pods, request.RequestInfo{Verb: "deletecollection", Namespace: "n"}, true, true},
		"a node":                    {nodes, request.RequestInfo{Verb: "patch", Name: "x"}, true, true},
		"a new node":                {nodes, request.RequestInfo{Verb: "create"}, true, true},
		"a node in a namespace":     {nodes, request.RequestInfo{Verb: "get", Namespace: "n", Name: "x"}, false, true},
		"an unknown subresource":    {pods, request.RequestInfo{Verb: "get", Namespace: "n", Name: "p", Subresource: "x"}, false, true},
	} {
		if got := c.resource.serves(&c.info); got != c.serves {
			t.Errorf("%s: served %v, want %v", name, got, c.serves)
		}
		if got := c.resource.allows(&c.info); got != c.permits {
			t.Errorf("%s: allowed %v, want %v", name, got, c.permits)
		}
	}
}
