package all

import (
	"slices"
	"testing"

	"github.com/coracle-k8s/coracle/apis/config/features"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// TestEnabled lists what clients see of some resources.
func TestEnabled(t *testing.T) {
	const (
		v1, beta2, beta1 = "resource.k8s.io/v1", "resource.k8s.io/v1beta2", "resource.k8s.io/v1beta1"
		alpha2, lease    = "coordination.k8s.io/v1alpha2", "coordination.k8s.io/v1beta1"
	)
	for name, c := range map[string]struct {
		config map[string]string
		gates  map[string]bool
		shown  []string // versions of deviceclasses, leasecandidates and clustertrustbundles
		hidden []string
	}{
		"default":               {nil, nil, []string{"certificates.k8s.io/v1", v1}, nil},
		"a version":             {map[string]string{beta1: "true"}, nil, []string{"certificates.k8s.io/v1", v1, beta1}, nil},
		"without the stored":    {map[string]string{alpha2: "true"}, nil, []string{alpha2, "certificates.k8s.io/v1", v1}, []string{lease}},
		"without the stable":    {map[string]string{v1: "false", beta2: "true"}, nil, []string{"certificates.k8s.io/v1", beta2}, []string{v1}},
		"a resource":            {map[string]string{beta2 + "/deviceclasses": "true", v1 + "/deviceclasses": "false"}, nil, []string{"certificates.k8s.io/v1", beta2}, []string{v1}},
		"everything":            {map[string]string{"api/all": "true"}, nil, []string{lease, alpha2, "certificates.k8s.io/v1", "certificates.k8s.io/v1beta1", v1, beta2, beta1}, nil},
		"a gate that is off":    {map[string]string{"api/beta": "true"}, map[string]bool{"ClusterTrustBundle": false, "ClusterTrustBundleProjection": false}, []string{lease, v1, beta2, beta1}, []string{"certificates.k8s.io/v1"}},
		"a gate and no version": {nil, map[string]bool{"ClusterTrustBundle": false, "ClusterTrustBundleProjection": false}, []string{v1}, []string{"certificates.k8s.io/v1"}},
	} {
		gates, err := features.New(c.gates)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		resources, err := Enabled(c.config, gates.Enabled)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var shown, hidden []string
		for _, r := range resources {
			if !slices.Contains([]string{"deviceclasses", "leasecandidates", "clustertrustbundles"}, r.Plural) {
				continue
			}
			if gv := r.GVK.GroupVersion().String(); r.Hidden {
				hidden = append(hidden, gv)
			} else {
				shown = append(shown, gv)
			}
		}
		if c.config == nil && c.gates == nil {
			expectAlike(t, resources, Default())
		}
		if !slices.Equal(shown, c.shown) || !slices.Equal(hidden, c.hidden) {
			t.Errorf("%s: shown %q, hidden %q", name, shown, hidden)
		}
	}
}

// expectAlike compares resources in order.
func expectAlike(t *testing.T, got, want []*registry.Resource) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b *registry.Resource) bool {
		return a.GVK == b.GVK && a.Plural == b.Plural && a.Hidden == b.Hidden
	}) {
		t.Errorf("without a configuration %d resources differ from the default %d", len(got), len(want))
	}
}

// TestStoredKindsAreThere looks up what stores the objects of a resource: without it a request would wait for itself.
func TestStoredKindsAreThere(t *testing.T) {
	for _, r := range Default() {
		if r.StoredAs != nil && !slices.ContainsFunc(Default(), func(o *registry.Resource) bool { return o.GVK == *r.StoredAs }) {
			t.Errorf("%s is stored as %s, which is not there", r.GVR(), r.StoredAs)
		}
	}
}

// TestGatesExist looks up every gate that resources name.
func TestGatesExist(t *testing.T) {
	gates, err := features.Gates()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Gates() {
		if !slices.ContainsFunc(gates, func(g features.Gate) bool { return g.Name == name }) {
			t.Errorf("there is no feature gate %s", name)
		}
	}
}
