package volumes

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func pv(version, class string, claim string) *v1.PersistentVolume {
	p := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v", ResourceVersion: version}, Spec: v1.PersistentVolumeSpec{StorageClassName: class}}
	if claim != "" {
		p.Spec.ClaimRef = &v1.ObjectReference{Namespace: "ns", Name: claim}
	}
	return p
}

// TestAssumptions: an assumption holds until the API has another version, and
// cannot be made of an old one.
func TestAssumptions(t *testing.T) {
	s := New()
	claimOf := func() string {
		p, err := s.Volume("v")
		if err != nil || p.Spec.ClaimRef == nil {
			return ""
		}
		return p.Spec.ClaimRef.Name
	}
	s.Set(pv("9", "a", ""))
	if err := s.AssumeVolume(pv("9", "a", "c")); err != nil || claimOf() != "c" {
		t.Error("not assumed:", err)
	}
	s.Set(pv("9", "a", "")) // the same event again
	if claimOf() != "c" || len(s.VolumesOf("a")) != 1 || s.VolumesOf("a")[0].Spec.ClaimRef == nil {
		t.Error("forgotten by an event that tells nothing new")
	}
	if w, err := s.WrittenVolume("v"); err != nil || w.Spec.ClaimRef != nil {
		t.Error("what is assumed passes for written")
	}
	s.Set(pv("10", "b", "d"))
	if claimOf() != "d" || len(s.VolumesOf("a")) != 0 || len(s.VolumesOf("b")) != 1 {
		t.Error("another version is not seen")
	}
	if s.AssumeVolume(pv("9", "a", "c")) == nil {
		t.Error("an old version is assumed")
	}
	if err := s.AssumeVolume(pv("10", "b", "e")); err != nil {
		t.Error(err)
	}
	s.RestoreVolume("v")
	if claimOf() != "d" {
		t.Error("still assumed")
	}
	s.Remove(pv("10", "b", "d"))
	if _, err := s.Volume("v"); err == nil || err.Error() != `persistentvolume "v" not found` {
		t.Error(err)
	}
	if !Older(pv("9", "", ""), pv("10", "", "")) || Older(pv("10", "", ""), pv("10", "", "")) {
		t.Error("versions are compared as text")
	}
}

func TestWatch(t *testing.T) {
	s := New()
	c := types.NamespacedName{Namespace: "ns", Name: "c"}
	changed, stop := s.Watch([]types.NamespacedName{c}, []string{"v"})
	woken := func() bool {
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	claim := &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"}}
	other := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "w"}}
	for i, step := range []struct {
		do   func()
		want bool
	}{
		{func() { s.Set(other) }, false},
		{func() { s.Set(claim); s.Set(claim) }, true},
		{func() {}, false}, // two changes are one look
		{func() { s.Set(pv("1", "", "")) }, true},
		{func() { other.Spec.ClaimRef = &v1.ObjectReference{Namespace: "ns", Name: "c"}; s.Set(other) }, true},
		{func() { s.Remove(claim) }, true},
		{func() { stop(); s.Set(claim) }, false},
	} {
		step.do()
		if got := woken(); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	if len(s.waiters) != 0 {
		t.Error("waiters stay:", s.waiters)
	}
}
