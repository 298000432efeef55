// Package apis joins what the folders below it say of each API group into one
// scheme.
package apis

import (
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis/apps"
	"github.com/coracle-k8s/coracle/apis/autoscaling"
	"github.com/coracle-k8s/coracle/apis/coordination"
	"github.com/coracle-k8s/coracle/apis/core"
	"github.com/coracle-k8s/coracle/apis/discovery"
	"github.com/coracle-k8s/coracle/apis/events"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/policy"
	"github.com/coracle-k8s/coracle/apis/rbac"
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
		apps.Install,
		autoscaling.Install,
		coordination.Install,
		discovery.Install,
		events.Install,
		policy.Install,
		rbac.Install,
		plain(authenticationv1.AddToScheme, authenticationv1.SchemeGroupVersion),
		plain(authorizationv1.AddToScheme, authorizationv1.SchemeGroupVersion),
	} {
		if err := install(s); err != nil {
			panic(fmt.Sprintf("making the scheme: %v", err))
		}
	}
	return s
}

// plain installs a group that has neither defaults nor field labels of its own.
func plain(add func(*runtime.Scheme) error, gv schema.GroupVersion) func(*runtime.Scheme) error {
	return func(s *runtime.Scheme) error {
		if err := add(s); err != nil {
			return err
		}
		return hub.Add(s, gv)
	}
}
