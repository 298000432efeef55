// Package apis registers the API groups of the folders below it in one scheme.
//
// The API of this package is not stable: see docs/api.md.
package apis

import (
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
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

// group is an API group that Coracle serves.
type group struct {
	// install adds all that the server needs: wire types, the same as hub, defaults, field
	// labels, conversions.
	install func(*runtime.Scheme) error
	// client adds the wire types of stable versions; nil for groups that only the server's own
	// types have.
	client func(*runtime.Scheme) error
}

func groups() []group {
	return []group{
		{core.Install, corev1.AddToScheme},
		{admissionregistration.Install, admissionregistrationv1.AddToScheme},
		{apiserverinternal.Install, nil},
		{apiextensions.Install, nil},
		{apiregistration.Install, nil},
		{apps.Install, appsv1.AddToScheme},
		{authentication.Install, authenticationv1.AddToScheme},
		{authorization.Install, authorizationv1.AddToScheme},
		{autoscaling.Install, func(s *runtime.Scheme) error {
			return errors.Join(autoscalingv2.AddToScheme(s), autoscalingv1.AddToScheme(s))
		}},
		{batch.Install, batchv1.AddToScheme},
		{certificates.Install, certificatesv1.AddToScheme},
		{coordination.Install, coordinationv1.AddToScheme},
		{discovery.Install, discoveryv1.AddToScheme},
		{events.Install, eventsv1.AddToScheme},
		{flowcontrol.Install, flowcontrolv1.AddToScheme},
		{networking.Install, networkingv1.AddToScheme},
		{node.Install, nodev1.AddToScheme},
		{policy.Install, policyv1.AddToScheme},
		{rbac.Install, rbacv1.AddToScheme},
		{resource.Install, resourcev1.AddToScheme},
		{scheduling.Install, schedulingv1.AddToScheme},
		{storage.Install, storagev1.AddToScheme},
		{storagemigration.Install, storagemigrationv1.AddToScheme},
	}
}

// NewScheme returns a scheme of every API group that Coracle serves, for the server. It takes a few
// milliseconds; a process makes one and shares it. It panics when two groups
// contradict each other, which no input can bring about.
func NewScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	unversioned := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(s, unversioned)
	s.AddUnversionedTypes(unversioned, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	for _, g := range groups() {
		if err := g.install(s); err != nil {
			panic(fmt.Sprintf("making the scheme: %v", err))
		}
	}
	return s
}

// NewClientScheme returns a scheme for clients: the wire types alone, each
// under one kind. It panics when two groups contradict each other, which no
// input can bring about. It lacks the types of API definitions, which are large, and
// of versions that are not stable: a running cluster's scheme has those that it serves.
func NewClientScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, g := range groups() {
		if g.client == nil {
			continue
		}
		if err := g.client(s); err != nil {
			panic(fmt.Sprintf("making the client scheme: %v", err))
		}
	}
	return s
}
