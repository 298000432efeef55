package persistentvolumeclaim

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestNormalizeSources(t *testing.T) {
	local := func(group, kind string) *corev1.TypedLocalObjectReference {
		return &corev1.TypedLocalObjectReference{APIGroup: &group, Kind: kind, Name: "x"}
	}
	ref := func(group, kind string, namespace *string) *corev1.TypedObjectReference {
		return &corev1.TypedObjectReference{APIGroup: &group, Kind: kind, Name: "x", Namespace: namespace}
	}
	for _, c := range []struct {
		name        string
		spec        corev1.PersistentVolumeClaimSpec
		source, ref string
	}{
		{"none", corev1.PersistentVolumeClaimSpec{}, "", ""},
		{"a snapshot the old way", corev1.PersistentVolumeClaimSpec{DataSource: local(snapshotGroup, "VolumeSnapshot")}, "VolumeSnapshot", "VolumeSnapshot"},
		{"anything the old way", corev1.PersistentVolumeClaimSpec{DataSource: local("example.com", "Thing")}, "", ""},
		{"anything the new way", corev1.PersistentVolumeClaimSpec{DataSourceRef: ref("example.com", "Thing", nil)}, "Thing", "Thing"},
		{"another namespace", corev1.PersistentVolumeClaimSpec{DataSourceRef: ref("example.com", "Thing", ptr.To("ns"))}, "", ""},
	} {
		s := c.spec
		normalizeSources(&s, nil)
		source, reference := "", ""
		if s.DataSource != nil {
			source = s.DataSource.Kind
		}
		if s.DataSourceRef != nil {
			reference = s.DataSourceRef.Kind
		}
		if source != c.source || reference != c.ref {
			t.Errorf("%s: got %q and %q", c.name, source, reference)
		}
	}
}
