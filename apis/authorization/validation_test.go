package authorization_test

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis/authorization"
)

func TestInstall(t *testing.T) {
	s := runtime.NewScheme()
	if err := authorization.Install(s); err != nil {
		t.Fatal(err)
	}
	if !s.Recognizes(schema.GroupVersionKind{Group: "authorization.k8s.io", Version: runtime.APIVersionInternal, Kind: "SubjectAccessReview"}) {
		t.Error("no hub")
	}
}

func TestValidate(t *testing.T) {
	pods := &authorizationv1.ResourceAttributes{Namespace: "a", Resource: "pods", Verb: "get"}
	with := func(f *authorizationv1.FieldSelectorAttributes) *authorizationv1.ResourceAttributes {
		r := *pods
		r.FieldSelector = f
		return &r
	}
	url := &authorizationv1.NonResourceAttributes{Path: "/x"}
	for name, tc := range map[string]struct {
		resource *authorizationv1.ResourceAttributes
		other    *authorizationv1.NonResourceAttributes
		user     string
		local    string
		want     string // the only error's field, empty: none
	}{
		"resource":         {resource: pods, user: "u"},
		"url":              {other: url, user: "u"},
		"both":             {resource: pods, other: url, user: "u", want: "spec"},
		"neither":          {user: "u", want: "spec"},
		"nobody":           {resource: pods, want: "spec.user"},
		"local":            {resource: pods, user: "u", local: "a"},
		"elsewhere":        {resource: pods, user: "u", local: "b", want: "spec.resourceAttributes.namespace"},
		"selector":         {resource: with(&authorizationv1.FieldSelectorAttributes{RawSelector: "a=b"}), user: "u"},
		"empty selector":   {resource: with(&authorizationv1.FieldSelectorAttributes{}), user: "u", want: "spec.resourceAttributes.fieldSelector.requirements"},
		"needs values":     {resource: with(&authorizationv1.FieldSelectorAttributes{Requirements: []metav1.FieldSelectorRequirement{{Key: "k", Operator: "In"}}}), user: "u", want: "spec.resourceAttributes.fieldSelector.requirements[0].values"},
		"unknown operator": {resource: with(&authorizationv1.FieldSelectorAttributes{Requirements: []metav1.FieldSelectorRequirement{{Key: "k", Operator: "X"}}}), user: "u"},
	} {
		spec := authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: tc.resource, NonResourceAttributes: tc.other, User: tc.user}
		errs := authorization.ValidateSubjectAccessReview(&authorizationv1.SubjectAccessReview{Spec: spec})
		if tc.local != "" {
			errs = authorization.ValidateLocalSubjectAccessReview(&authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: tc.local}, Spec: spec})
		}
		got := ""
		if len(errs) > 0 {
			got = errs[0].Field
		}
		if got != tc.want || len(errs) > 1 {
			t.Errorf("%s: %v", name, errs)
		}
	}
}
