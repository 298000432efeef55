// Package apis registers the API groups of the folders below it in one scheme.
//
// The API of this package is not stable: see docs/api.md.
package apis

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis/admissionregistration"
	"github.com/coracle-k8s/coracle/apis/apiextensions"
	"github.com/coracle-k8s/coracle/apis/apiregistration"
	"github.com/coracle-k8s/coracle/apis/apiserverinternal"
	"github.com/coracle-k8s/coracle/apis/apps"
	"github.com/coracle-k8s/coracle/apis/authentication"
	"github.com/coracle-k8s/coracle/apis/authorization"
	"github.com/coracle-k8s/coracle/apis/autoscaling"
	"github.com/coracle-k8s/coracle/apis/batch"
	"github.com/coracle-k8s/coracle/apis/certificates"
	"github.com/coracle-k8s/coracle/apis/coordination"
	"github.com/coracle-k8s/coracle/apis/core"
	"github.com/coracle-k8s/coracle/apis/discovery"
	"github.com/coracle-k8s/coracle/apis/events"
	"github.com/coracle-k8s/coracle/apis/flowcontrol"
	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/apis/node"
	"github.com/coracle-k8s/coracle/apis/policy"
	"github.com/coracle-k8s/coracle/apis/rbac"
	"github.com/coracle-k8s/coracle/apis/resource"
	"github.com/coracle-k8s/coracle/apis/scheduling"
	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/apis/storagemigration"
)

// NewScheme returns a scheme of every API group that Coracle serves: wire
// types, the same as hub, defaults, field labels, conversions. It takes a few
// milliseconds; a process makes one and shares it. It panics when two groups
// contradict each other, which no input can bring about.
func NewScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	unversioned := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(s, unversioned)
	s.AddUnversionedTypes(unversioned, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	for _, install := range []func(*runtime.Scheme) error{
		core.Install,
		admissionregistration.Install,
		apiserverinternal.Install,
		apiextensions.Install,
		apiregistration.Install,
		apps.Install,
		authentication.Install,
		authorization.Install,
		autoscaling.Install,
		batch.Install,
		certificates.Install,
		coordination.Install,
		discovery.Install,
		events.Install,
		flowcontrol.Install,
		networking.Install,
		node.Install,
		policy.Install,
		rbac.Install,
		resource.Install,
		scheduling.Install,
		storage.Install,
		storagemigration.Install,
	} {
		if err := install(s); err != nil {
			panic(fmt.Sprintf("making the scheme: %v", err))
		}
	}
	return s
}
