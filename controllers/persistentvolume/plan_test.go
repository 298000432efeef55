package persistentvolume

import (
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	volumes "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
)

func newVolume(name, size, class string, change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}, StorageClassName: class,
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable},
	}
	for _, f := range change {
		f(pv)
	}
	return pv
}

func claimedBy(name, uid string) func(*corev1.PersistentVolume) {
	return func(pv *corev1.PersistentVolume) {
		pv.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: "default", Name: name, UID: types.UID(uid)}
	}
}

func annotated(key string) func(*corev1.PersistentVolume) {
	return func(pv *corev1.PersistentVolume) { pv.Annotations = map[string]string{key: "yes"} }
}

func hostPath(pv *corev1.PersistentVolume) {
	pv.Spec.HostPath = &corev1.HostPathVolumeSource{Path: "/x"}
}

func policy(p corev1.PersistentVolumeReclaimPolicy) func(*corev1.PersistentVolume) {
	return func(pv *corev1.PersistentVolume) { pv.Spec.PersistentVolumeReclaimPolicy = p }
}

func newClaim(class *string, change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default", UID: "u"},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")}}},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func wants(name string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = name }
}

func done(c *corev1.PersistentVolumeClaim) {
	c.Annotations = map[string]string{volumes.AnnBindCompleted: "yes"}
	c.Status.Phase = corev1.ClaimBound
}

func world(defaultClass string, all ...*corev1.PersistentVolume) observed {
	classes := map[string]*storagev1.StorageClass{
		"fast": {Provisioner: "csi.example"}, "none": {Provisioner: "kubernetes.io/no-provisioner"}, "old": {Provisioner: "kubernetes.io/aws-ebs"},
		"late": {Provisioner: "csi.example", VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)},
	}
	return observed{
		volume: func(name string) *corev1.PersistentVolume {
			for _, pv := range all {
				if pv.Name == name {
					return pv
				}
			}
			return nil
		},
		volumes:      func() []*corev1.PersistentVolume { return all },
		class:        func(name string) *storagev1.StorageClass { return classes[name] },
		defaultClass: func() string { return defaultClass },
		consumers:    func() []string { return nil },
	}
}

func TestPlanClaim(t *testing.T) {
	small, fit, big := newVolume("small", "1Gi", ""), newVolume("fit", "5Gi", ""), newVolume("big", "9Gi", "")
	many := newVolume("many", "5Gi", "", func(pv *corev1.PersistentVolume) {
		pv.Spec.AccessModes = append(pv.Spec.AccessModes, corev1.ReadOnlyMany)
	})
	for _, c := range []struct {
		name  string
		claim *corev1.PersistentVolumeClaim
		in    observed
		bind  string
		class string
		asked string
		phase corev1.PersistentVolumeClaimPhase
		note  string
	}{
		{name: "smallest that fits", claim: newClaim(ptr.To("")), in: world("", big, small, fit), bind: "fit"},
		{name: "fewest modes first", claim: newClaim(ptr.To("")), in: world("", many, big), bind: "big"},
		{name: "set aside for it", claim: newClaim(ptr.To("")), in: world("", fit, newVolume("mine", "9Gi", "", claimedBy("c", ""))), bind: "mine"},
		{name: "set aside for another", claim: newClaim(ptr.To("")), in: world("", newVolume("other", "9Gi", "", claimedBy("d", ""))), phase: corev1.ClaimPending, note: "FailedBinding"},
		{name: "too small", claim: newClaim(ptr.To("")), in: world("", small), phase: corev1.ClaimPending, note: "FailedBinding"},
		{name: "another class", claim: newClaim(ptr.To("fast")), in: world("", fit), asked: "csi.example", phase: corev1.ClaimPending, note: "ExternalProvisioning"},
		{name: "no provisioner", claim: newClaim(ptr.To("none")), in: world(""), phase: corev1.ClaimPending, note: "ProvisioningFailed"},
		{name: "a driver took over", claim: newClaim(ptr.To("old")), in: world(""), asked: "ebs.csi.aws.com", phase: corev1.ClaimPending, note: "ExternalProvisioning"},
		{name: "no such class", claim: newClaim(ptr.To("gone")), in: world(""), phase: corev1.ClaimPending, note: "ProvisioningFailed"},
		{name: "a default that came later", claim: newClaim(nil), in: world("fast"), class: "fast"},
		{name: "waits", claim: newClaim(ptr.To("late")), in: world("", newVolume("late", "5Gi", "late")), phase: corev1.ClaimPending, note: "WaitForFirstConsumer"},
		{name: "waited", claim: newClaim(ptr.To("late"), func(c *corev1.PersistentVolumeClaim) { c.Annotations = map[string]string{volumes.AnnSelectedNode: "n"} }),
			in: world(""), asked: "csi.example", phase: corev1.ClaimPending, note: "ExternalProvisioning"},
		{name: "by name", claim: newClaim(ptr.To(""), wants("big")), in: world("", fit, big), bind: "big"},
		{name: "by name, not there yet", claim: newClaim(ptr.To(""), wants("x")), in: world("", fit), phase: corev1.ClaimPending},
		{name: "by name, too small", claim: newClaim(ptr.To(""), wants("small")), in: world("", small), phase: corev1.ClaimPending, note: "VolumeMismatch"},
		{name: "by name, taken", claim: newClaim(ptr.To(""), wants("t")), in: world("", newVolume("t", "5Gi", "", claimedBy("d", "v"))), phase: corev1.ClaimPending, note: "FailedBinding"},
		{name: "bound", claim: newClaim(ptr.To(""), wants("t"), done), in: world("", newVolume("t", "5Gi", "", claimedBy("c", "u"))), bind: "t"},
		{name: "bound, volume gone", claim: newClaim(ptr.To(""), wants("t"), done), in: world(""), phase: corev1.ClaimLost, note: "ClaimLost"},
		{name: "bound, name gone", claim: newClaim(ptr.To(""), done), in: world(""), phase: corev1.ClaimLost, note: "ClaimLost"},
		{name: "bound to another's", claim: newClaim(ptr.To(""), wants("t"), done), in: world("", newVolume("t", "5Gi", "", claimedBy("d", "v"))), phase: corev1.ClaimLost, note: "ClaimMisbound"},
	} {
		p, err := planClaim(c.claim, c.in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		bind, note := "", ""
		if p.bind != nil {
			bind = p.bind.Name
		}
		if p.note != nil {
			note = p.note.reason
		}
		if bind != c.bind || p.class != c.class || p.provisioner != c.asked || p.phase != c.phase || note != c.note {
			t.Errorf("%s: got bind %q class %q provisioner %q phase %q note %q", c.name, bind, p.class, p.provisioner, p.phase, note)
		}
	}
}

func TestPlanVolume(t *testing.T) {
	bound := newClaim(nil, wants("v"))
	for _, c := range []struct {
		name    string
		pv      *corev1.PersistentVolume
		claim   *corev1.PersistentVolumeClaim
		phase   corev1.PersistentVolumePhase
		note    string
		unbound bool
	}{
		{name: "free", pv: newVolume("v", "1Gi", ""), phase: corev1.VolumeAvailable},
		{name: "set aside", pv: newVolume("v", "1Gi", "", claimedBy("c", "")), phase: corev1.VolumeAvailable},
		{name: "bound", pv: newVolume("v", "1Gi", "", claimedBy("c", "u")), claim: bound, phase: corev1.VolumeBound},
		{name: "the claim's turn", pv: newVolume("v", "1Gi", "", claimedBy("c", "u")), claim: newClaim(nil)},
		{name: "kept", pv: newVolume("v", "1Gi", "", claimedBy("c", "u")), phase: corev1.VolumeReleased},
		{name: "recycled", pv: newVolume("v", "1Gi", "", claimedBy("c", "u"), policy("Recycle"), hostPath), phase: corev1.VolumeReleased},
		{name: "recycled by nobody", pv: newVolume("v", "1Gi", "", claimedBy("c", "u"), policy("Recycle")), phase: corev1.VolumeFailed, note: "VolumeFailedRecycle"},
		{name: "deleted by nobody", pv: newVolume("v", "1Gi", "", claimedBy("c", "u"), policy("Delete")), phase: corev1.VolumeFailed, note: "VolumeFailedDelete"},
		{name: "deleted by its provisioner", pv: newVolume("v", "1Gi", "", claimedBy("c", "u"), policy("Delete"), annotated(volumes.AnnDynamicallyProvisioned)), phase: corev1.VolumeReleased},
		{name: "claim got another", pv: newVolume("w", "1Gi", "", claimedBy("c", "u"), annotated(volumes.AnnBoundByController)), claim: bound, phase: corev1.VolumeAvailable, unbound: true},
		{name: "claim got another, provisioned", pv: newVolume("w", "1Gi", "", claimedBy("c", "u"), policy("Delete"), annotated(volumes.AnnDynamicallyProvisioned)), claim: bound, phase: corev1.VolumeReleased},
	} {
		p := planVolume(c.pv, c.claim)
		note := ""
		if p.note != nil {
			note = p.note.reason
		}
		if p.phase != c.phase || note != c.note || (p.update != nil) != c.unbound {
			t.Errorf("%s: got phase %q note %q update %v", c.name, p.phase, note, p.update != nil)
		}
		if p.update != nil && p.update.Spec.ClaimRef != nil {
			t.Errorf("%s: still claimed by %v", c.name, p.update.Spec.ClaimRef)
		}
	}
}

// TestMatchAgainstScan compares the choice with a plain scan over random volumes.
func TestMatchAgainstScan(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sizes := []string{"1Gi", "4Gi", "5Gi", "6Gi", "9Gi"}
	for range 500 {
		var all []*corev1.PersistentVolume
		for i := range r.IntN(8) {
			all = append(all, newVolume(string(rune('a'+i)), sizes[r.IntN(len(sizes))], []string{"", "fast"}[r.IntN(2)], func(pv *corev1.PersistentVolume) {
				if r.IntN(2) == 0 {
					pv.Spec.AccessModes = append(pv.Spec.AccessModes, corev1.ReadWriteMany)
				}
				if r.IntN(4) == 0 {
					pv.Status.Phase = corev1.VolumeReleased
				}
				if r.IntN(5) == 0 {
					claimedBy("d", "")(pv)
				}
			}))
		}
		claim := newClaim(ptr.To(""))
		want := claim.Spec.Resources.Requests[corev1.ResourceStorage]
		better := func(a, b *corev1.PersistentVolume) bool {
			if len(a.Spec.AccessModes) != len(b.Spec.AccessModes) {
				return len(a.Spec.AccessModes) < len(b.Spec.AccessModes)
			}
			x, y := a.Spec.Capacity[corev1.ResourceStorage], b.Spec.Capacity[corev1.ResourceStorage]
			return x.Cmp(y) < 0
		}
		var best *corev1.PersistentVolume
		for _, pv := range all {
			have := pv.Spec.Capacity[corev1.ResourceStorage]
			if pv.Spec.ClaimRef != nil || pv.Status.Phase != corev1.VolumeAvailable || pv.Spec.StorageClassName != "" || have.Cmp(want) < 0 {
				continue
			}
			if best == nil || better(pv, best) {
				best = pv
			}
		}
		got, err := match(claim, all, false)
		if err != nil || got != best {
			t.Fatalf("got %v, %v, want %v", got, err, best)
		}
	}
}
