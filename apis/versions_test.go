package apis_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1alpha1 "k8s.io/api/admissionregistration/v1alpha1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	resourcev1 "k8s.io/api/resource/v1"
	resourcev1beta1 "k8s.io/api/resource/v1beta1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/randfill"

	"github.com/coracle-k8s/coracle/apis"
)

// filler fills what the hub and every version can hold. Upstream's versions differ in
// the rest, too: v1beta1 of resource.k8s.io does not distinguish unset from false and
// "", and a request of it is for exactly one kind of device only if a field is set.
func filler(seed int64) *randfill.Filler {
	return randfill.NewWithSeed(seed).NilChance(0.3).NumElements(1, 3).MaxDepth(14).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(c.Int63n(1000), resource.DecimalSI)
		},
		func(s *resourcev1.ResourceSliceSpec, c randfill.Continue) {
			c.FillNoCustom(s)
			if s.AllNodes != nil {
				*s.AllNodes = true
			}
			if s.NodeName != nil {
				*s.NodeName += "n"
			}
		},
		func(r *resourcev1.ExactDeviceRequest, c randfill.Continue) {
			c.FillNoCustom(r)
			r.DeviceClassName += "c"
		},
		func(d *resourcev1beta1.Device, c randfill.Continue) {
			c.FillNoCustom(d)
			if d.Basic == nil {
				d.Basic = &resourcev1beta1.BasicDevice{}
			}
		},
		func(s *certificatesv1beta1.PodCertificateRequestSpec, c randfill.Continue) {
			c.FillNoCustom(s)
			s.PKIXPublicKey, s.ProofOfPossession = nil, nil // v1 has no such fields
		},
		func(*metav1.TypeMeta, randfill.Continue) {},
		func(r *runtime.RawExtension, _ randfill.Continue) { r.Raw = []byte(`{}`) },
		func(m *metav1.ObjectMeta, c randfill.Continue) { m.Name = c.String(8) },
	)
}

// TestVersionsRoundTrip converts random objects of every kind and version to the hub
// and back, and from the hub to the version and back. Nothing may get lost.
func TestVersionsRoundTrip(t *testing.T) {
	s := apis.NewScheme()
	pairs := 0
	others := []string{"autoscaling", "events.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"} // their conversions have tests of their own
	for gvk, version := range s.AllKnownTypes() {
		hub, ok := s.AllKnownTypes()[schema.GroupVersionKind{Group: gvk.Group, Version: runtime.APIVersionInternal, Kind: gvk.Kind}]
		if !ok || hub == version || strings.HasPrefix(version.PkgPath(), "k8s.io/apimachinery/") || slices.Contains(others, gvk.Group) {
			continue
		}
		pairs++
		t.Run(gvk.String(), func(t *testing.T) {
			f := filler(int64(pairs))
			for range 30 {
				roundTrip(t, s, f, version, hub)
				roundTrip(t, s, f, hub, version)
			}
		})
	}
	if pairs < 30 {
		t.Errorf("only %d kinds are converted", pairs)
	}
}

func roundTrip(t *testing.T, s *runtime.Scheme, f *randfill.Filler, from, through reflect.Type) {
	t.Helper()
	in, between, out := reflect.New(from).Interface(), reflect.New(through).Interface(), reflect.New(from).Interface()
	f.Fill(in)
	// What is converted into keeps its kind: one of the hub has none.
	kept := schema.GroupVersionKind{Group: "g", Version: "v", Kind: "K"}
	for _, step := range [][2]any{{in, between}, {between, out}} {
		kind := step[1].(runtime.Object).GetObjectKind()
		kind.SetGroupVersionKind(kept)
		if err := s.Convert(step[0], step[1], nil); err != nil {
			t.Fatal(err)
		}
		if kind.GroupVersionKind() != kept {
			t.Fatalf("an object of %T has the kind %s", step[1], kind.GroupVersionKind())
		}
		kind.SetGroupVersionKind(schema.GroupVersionKind{})
	}
	if !equality.Semantic.DeepEqual(in, out) {
		t.Fatalf("%s through %s (-in +out):\n%s", from, through, cmp.Diff(in, out))
	}
	if reflect.ValueOf(between).Elem().IsZero() && !reflect.ValueOf(in).Elem().IsZero() {
		t.Fatalf("%s became an empty %s", from, through)
	}
}

// TestVersionsHaveTheHubsDefaults defaults an object in another version.
func TestVersionsHaveTheHubsDefaults(t *testing.T) {
	s := apis.NewScheme()
	claim := &resourcev1beta1.ResourceClaim{Spec: resourcev1beta1.ResourceClaimSpec{Devices: resourcev1beta1.DeviceClaim{
		Requests: []resourcev1beta1.DeviceRequest{{Name: "one", DeviceClassName: "c"}, {Name: "any", FirstAvailable: []resourcev1beta1.DeviceSubRequest{{Name: "sub"}}}},
	}}}
	s.Default(claim)
	requests := claim.Spec.Devices.Requests
	if r := requests[0]; r.AllocationMode != resourcev1beta1.DeviceAllocationModeExactCount || r.Count != 1 {
		t.Errorf("a request has mode %q and count %d", r.AllocationMode, r.Count)
	}
	none := &resourcev1beta1.ResourceClaim{Spec: resourcev1beta1.ResourceClaimSpec{Devices: resourcev1beta1.DeviceClaim{
		Requests: []resourcev1beta1.DeviceRequest{{Name: "classless", Count: 2}},
	}}}
	s.Default(none)
	if r := none.Spec.Devices.Requests[0]; r.AllocationMode != "" || r.Count != 2 {
		t.Errorf("a request without a class has mode %q and count %d", r.AllocationMode, r.Count)
	}
	binding := &admissionv1alpha1.MutatingAdmissionPolicyBinding{Spec: admissionv1alpha1.MutatingAdmissionPolicyBindingSpec{
		ParamRef: &admissionv1alpha1.ParamRef{Name: "p"}, MatchResources: &admissionv1alpha1.MatchResources{},
	}}
	s.Default(binding)
	if a := binding.Spec.ParamRef.ParameterNotFoundAction; a == nil || *a != admissionv1alpha1.DenyAction || binding.Spec.MatchResources.MatchPolicy == nil {
		t.Errorf("a binding has %+v", binding.Spec)
	}
	if r := requests[1]; r.AllocationMode != "" || r.Count != 0 || r.FirstAvailable[0].Count != 1 {
		t.Errorf("a request for the first available has %+v", r)
	}
}
