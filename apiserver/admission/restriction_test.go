package admission_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/coracle-k8s/coracle/apiserver/admission/ownerreferencespermission"
)

func TestOwnerReferences(t *testing.T) {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	allowed := map[string]bool{}
	a := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if allowed[a.GetVerb()+" "+a.GetResource()+"/"+a.GetSubresource()] {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "no", nil
	})
	p := ownerreferencespermission.New(a, mapper)
	object := func(block bool, kind string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c", OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: kind, Name: "o", UID: "u", BlockOwnerDeletion: &block}}}}
	}
	update := ask{op: admission.Update, resource: "configmaps", name: "c", ns: "a", obj: object(false, "Pod"), old: &corev1.ConfigMap{}}
	wants(t, "may not delete", admit(t, p, update), "cannot set an ownerRef on a resource you can't delete: no, <nil>")
	create := ask{op: admission.Create, resource: "configmaps", ns: "a", obj: object(true, "Pod")}
	wants(t, "may not block", admit(t, p, create), "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: no, <nil>")
	allowed["update pods/finalizers"], allowed["delete configmaps/"] = true, true
	wants(t, "may block", admit(t, p, create), "")
	wants(t, "may delete", admit(t, p, update), "")
	create.obj = object(true, "Other")
	wants(t, "unknown kind", admit(t, p, create), "cannot find RESTMapping for APIVersion v1 Kind Other")
}
