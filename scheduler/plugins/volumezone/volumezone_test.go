package volumezone

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

func TestFilter(t *testing.T) {
	claim := func(class, volume string) *v1.PersistentVolumeClaim {
		return &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"},
			Spec: v1.PersistentVolumeClaimSpec{StorageClassName: &class, VolumeName: volume}}
	}
	volume := func(label, value string) *v1.PersistentVolume {
		return &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v", Labels: map[string]string{label: value}}}
	}
	class := func(mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
		return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "s"}, VolumeBindingMode: ptr.To(mode)}
	}
	in := func(label, value string) map[string]string { return map[string]string{label: value} }
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}, Spec: v1.PodSpec{Volumes: []v1.Volume{{
		VolumeSource: v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}}}}}
	for name, tc := range map[string]struct {
		objects []any
		node    map[string]string
		want    string
	}{
		"no claim":               {nil, nil, `persistentvolumeclaim "c" not found`},
		"no volume":              {[]any{claim("", "v")}, nil, `persistentvolume "v" not found`},
		"nowhere in particular":  {[]any{claim("", "v"), volume("x", "y")}, nil, "skip"},
		"no zones here":          {[]any{claim("", "v"), volume(v1.LabelTopologyZone, "a")}, nil, ""},
		"this zone":              {[]any{claim("", "v"), volume(v1.LabelTopologyZone, "a")}, in(v1.LabelTopologyZone, "a"), ""},
		"another zone":           {[]any{claim("", "v"), volume(v1.LabelTopologyZone, "a")}, in(v1.LabelTopologyZone, "b"), ErrReasonConflict},
		"one of its zones":       {[]any{claim("", "v"), volume(v1.LabelTopologyZone, "a__b")}, in(v1.LabelTopologyZone, "b"), ""},
		"a label of old":         {[]any{claim("", "v"), volume(v1.LabelFailureDomainBetaZone, "a")}, in(v1.LabelTopologyZone, "a"), ""},
		"a region, not known":    {[]any{claim("", "v"), volume(v1.LabelTopologyRegion, "r")}, in(v1.LabelTopologyZone, "a"), ErrReasonConflict},
		"a label of nothing":     {[]any{claim("", "v"), volume(v1.LabelTopologyZone, "a__")}, in(v1.LabelTopologyZone, "b"), "skip"},
		"waits for the pod":      {[]any{claim("s", ""), class(storagev1.VolumeBindingWaitForFirstConsumer)}, nil, "skip"},
		"should have been bound": {[]any{claim("s", ""), class(storagev1.VolumeBindingImmediate)}, nil, "PersistentVolume had no name"},
		"of no class":            {[]any{claim("", "")}, nil, "PersistentVolumeClaim had no pv name and storageClass name"},
	} {
		store := volumes.New()
		for _, o := range tc.objects {
			store.Set(o)
		}
		p, cs := New(store), framework.NewCycleState()
		_, st := p.PreFilter(t.Context(), cs, pod, nil)
		got := st.Message()
		switch {
		case st.IsSkip():
			got = "skip"
		case st.IsSuccess():
			got = p.Filter(t.Context(), cs, pod, cache.NewNodeInfo(&v1.Node{ObjectMeta: metav1.ObjectMeta{Labels: tc.node}})).Message()
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestHints(t *testing.T) {
	a, b := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1.LabelTopologyZone: "a"}}}, &v1.PersistentVolume{}
	for name, tc := range map[string]struct {
		old, new any
		want     fwk.QueueingHint
	}{"comes": {nil, a, fwk.Queue}, "moves": {a, b, fwk.Queue}, "stays": {a, a, fwk.QueueSkip}} {
		if got, err := volumeChanged(klog.Background(), nil, tc.old, tc.new); err != nil || got != tc.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
