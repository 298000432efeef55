package volumerestrictions

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

func podWith(namespace string, sources ...v1.VolumeSource) *v1.Pod {
	p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, UID: "u"}}
	for _, s := range sources {
		p.Spec.Volumes = append(p.Spec.Volumes, v1.Volume{VolumeSource: s})
	}
	return p
}

func TestDisks(t *testing.T) {
	gce := func(name string, readOnly bool) v1.VolumeSource {
		return v1.VolumeSource{GCEPersistentDisk: &v1.GCEPersistentDiskVolumeSource{PDName: name, ReadOnly: readOnly}}
	}
	ebs := v1.VolumeSource{AWSElasticBlockStore: &v1.AWSElasticBlockStoreVolumeSource{VolumeID: "v", ReadOnly: true}}
	rbd := func(image string, monitors ...string) v1.VolumeSource {
		return v1.VolumeSource{RBD: &v1.RBDVolumeSource{CephMonitors: monitors, RBDImage: image}}
	}
	iscsi := func(iqn string, readOnly bool) v1.VolumeSource {
		return v1.VolumeSource{ISCSI: &v1.ISCSIVolumeSource{IQN: iqn, ReadOnly: readOnly}}
	}
	for name, tc := range map[string]struct {
		a, b v1.VolumeSource
		want bool
	}{
		"one disk":              {gce("d", false), gce("d", true), true},
		"one disk, only read":   {gce("d", true), gce("d", true), false},
		"two disks":             {gce("d", false), gce("e", false), false},
		"EBS is never shared":   {ebs, ebs, true},
		"one image":             {rbd("i", "m", "n"), rbd("i", "n"), true},
		"two Ceph clusters":     {rbd("i", "m"), rbd("i", "n"), false},
		"one target":            {iscsi("q", false), iscsi("q", true), true},
		"one target, only read": {iscsi("q", true), iscsi("q", true), false},
		"two kinds":             {gce("d", false), ebs, false},
	} {
		p, cs, pod := New(volumes.New(), cache.NewSnapshot()), framework.NewCycleState(), podWith("ns", tc.a)
		if _, st := p.PreFilter(t.Context(), cs, pod, nil); !st.IsSuccess() {
			t.Fatal(st)
		}
		other := podWith("ns", tc.b)
		st := p.Filter(t.Context(), cs, pod, cache.NewNodeInfo(nil, other))
		if got := st.Message() == ErrReasonDiskConflict; got != tc.want {
			t.Errorf("%s: %v", name, st)
		}
		if hint, _ := frees(klog.Background(), pod, other, nil); (hint == fwk.Queue) != tc.want {
			t.Errorf("%s: hint %v", name, hint)
		}
	}
}

// TestPreemption takes the pod away that has the claim.
func TestPreemption(t *testing.T) {
	source := v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}
	store := volumes.New()
	store.Set(&v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"},
		Spec: v1.PersistentVolumeClaimSpec{AccessModes: []v1.PersistentVolumeAccessMode{v1.ReadWriteOncePod}}})
	p, cs, pod, holder := New(store, used{}), framework.NewCycleState(), podWith("ns", source), podWith("ns", source)
	if _, st := p.PreFilter(t.Context(), cs, pod, nil); !st.IsSuccess() {
		t.Fatal(st)
	}
	node := cache.NewNodeInfo(nil, holder)
	if st := p.Filter(t.Context(), cs, pod, node); st.Message() != ErrReasonReadWriteOncePodConflict {
		t.Error(st)
	}
	info, err := cache.NewPodInfo(holder)
	if err != nil {
		t.Fatal(err)
	}
	tried := cs.Clone()
	if st := p.RemovePod(t.Context(), tried, pod, info, node); !st.IsSuccess() {
		t.Fatal(st)
	}
	if st := p.Filter(t.Context(), tried, pod, cache.NewNodeInfo(nil)); !st.IsSuccess() {
		t.Error("after preemption:", st)
	}
	if st := p.Filter(t.Context(), cs, pod, cache.NewNodeInfo(nil)); st.IsSuccess() {
		t.Error("the trial changed the cycle's state")
	}
}

type used struct{}

func (used) IsPVCUsedByPods(string) bool { return true }
