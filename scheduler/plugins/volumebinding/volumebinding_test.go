package volumebinding

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	helpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

func size(s string) v1.ResourceList {
	return v1.ResourceList{v1.ResourceStorage: resource.MustParse(s)}
}

func newClaim(name, class, request string, change ...func(*v1.PersistentVolumeClaim)) *v1.PersistentVolumeClaim {
	c := &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: v1.PersistentVolumeClaimSpec{
		StorageClassName: &class, AccessModes: []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce}, Resources: v1.VolumeResourceRequirements{Requests: size(request)}}}
	for _, f := range change {
		f(c)
	}
	return c
}

func boundTo(volume string) func(*v1.PersistentVolumeClaim) {
	return func(c *v1.PersistentVolumeClaim) {
		c.Spec.VolumeName = volume
		c.Annotations = map[string]string{helpers.AnnBindCompleted: "yes"}
	}
}

func selected(node string) func(*v1.PersistentVolumeClaim) {
	return func(c *v1.PersistentVolumeClaim) { c.Annotations = map[string]string{helpers.AnnSelectedNode: node} }
}

func newVolume(name, class, capacity string, zones ...string) *v1.PersistentVolume {
	pv := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.PersistentVolumeSpec{
		StorageClassName: class, AccessModes: []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce}, Capacity: size(capacity)},
		Status: v1.PersistentVolumeStatus{Phase: v1.VolumeAvailable}}
	if len(zones) > 0 {
		pv.Spec.NodeAffinity = &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
			MatchExpressions: []v1.NodeSelectorRequirement{{Key: "zone", Operator: v1.NodeSelectorOpIn, Values: zones}}}}}}
	}
	return pv
}

func newClass(name, provisioner string, zones ...string) *storagev1.StorageClass {
	c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner,
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)}
	if len(zones) > 0 {
		c.AllowedTopologies = []v1.TopologySelectorTerm{{MatchLabelExpressions: []v1.TopologySelectorLabelRequirement{{Key: "zone", Values: zones}}}}
	}
	return c
}

func capacity(name, class, zone, most string) *storagev1.CSIStorageCapacity {
	return &storagev1.CSIStorageCapacity{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name}, StorageClassName: class,
		NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{"zone": zone}}, Capacity: ptr.To(resource.MustParse(most))}
}

func podOf(claims ...string) *v1.Pod {
	p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "p"}}
	for _, c := range claims {
		p.Spec.Volumes = append(p.Spec.Volumes, v1.Volume{Name: c, VolumeSource: v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: c}}})
	}
	return p
}

// verdicts returns the messages for nodes x and y, of zones of these names; "" if
// they fit. PreFilter's is one for both.
func verdicts(t *testing.T, p *VolumeBinding, pod *v1.Pod) ([]string, *state) {
	t.Helper()
	cs := framework.NewCycleState()
	_, st := p.PreFilter(t.Context(), cs, pod, nil)
	if st.IsSkip() {
		return []string{"skip"}, nil
	}
	if !st.IsSuccess() {
		return []string{st.Message()}, nil
	}
	var out []string
	for _, zone := range []string{"x", "y"} {
		n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: zone, Labels: map[string]string{"zone": zone}}}
		st := p.Filter(t.Context(), cs, pod, cache.NewNodeInfo(n))
		if st.IsError() {
			t.Fatal(st.AsError())
		}
		out = append(out, st.Message())
	}
	return out, read(cs)
}

func TestFilter(t *testing.T) {
	driver := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "csi"}, Spec: storagev1.CSIDriverSpec{StorageCapacity: ptr.To(true)}}
	common := []any{newClass("late", "csi"), newClass("inx", "csi", "x"), newClass("none", "kubernetes.io/no-provisioner")}
	for name, tc := range map[string]struct {
		objects []any
		pod     *v1.Pod
		want    []string
	}{
		"no claims":                    {pod: podOf(), want: []string{"skip"}},
		"no such claim":                {pod: podOf("a"), want: []string{`persistentvolumeclaim "a" not found`}},
		"bound in one zone":            {[]any{newClaim("a", "", "1", boundTo("v")), newVolume("v", "", "1", "x")}, podOf("a"), []string{"", ErrReasonNodeConflict}},
		"bound anywhere":               {[]any{newClaim("a", "", "1", boundTo("v")), newVolume("v", "", "1")}, podOf("a"), []string{"", ""}},
		"bound to nothing":             {[]any{newClaim("a", "", "1", boundTo("v"))}, podOf("a"), []string{ErrReasonPVNotExist, ErrReasonPVNotExist}},
		"not bound":                    {[]any{newClaim("a", "", "1")}, podOf("a"), []string{"pod has unbound immediate PersistentVolumeClaims"}},
		"made anywhere":                {[]any{newClaim("a", "late", "1")}, podOf("a"), []string{"", ""}},
		"made in one zone":             {[]any{newClaim("a", "inx", "1")}, podOf("a"), []string{"", ErrReasonBindConflict}},
		"made on a node":               {[]any{newClaim("a", "late", "1", selected("y"))}, podOf("a"), []string{ErrReasonBindConflict, ""}},
		"there in one zone":            {[]any{newClaim("a", "none", "1"), newVolume("v", "none", "1", "y")}, podOf("a"), []string{ErrReasonBindConflict, ""}},
		"there for one of two":         {[]any{newClaim("a", "none", "1"), newClaim("b", "none", "1"), newVolume("v", "none", "1")}, podOf("a", "b"), []string{ErrReasonBindConflict, ErrReasonBindConflict}},
		"the small leaves the big one": {[]any{newClaim("a", "none", "2"), newClaim("b", "none", "1"), newVolume("v", "none", "2"), newVolume("w", "none", "1")}, podOf("a", "b"), []string{"", ""}},
		"no space": {[]any{driver, newClaim("a", "late", "2"), capacity("c", "late", "x", "1"), capacity("d", "late", "y", "2")}, podOf("a"),
			[]string{ErrReasonNotEnoughSpace, ""}},
		"lost": {[]any{newClaim("a", "", "1", boundTo("v"), func(c *v1.PersistentVolumeClaim) { c.Status.Phase = v1.ClaimLost })}, podOf("a"),
			[]string{`persistentvolumeclaim "a" bound to non-existent persistentvolume "v"`}},
		"going": {[]any{newClaim("a", "late", "1", func(c *v1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} })}, podOf("a"),
			[]string{`persistentvolumeclaim "a" is being deleted`}},
		"ephemeral": {nil, &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}, Spec: v1.PodSpec{Volumes: []v1.Volume{{Name: "e", VolumeSource: v1.VolumeSource{Ephemeral: &v1.EphemeralVolumeSource{}}}}}},
			[]string{`waiting for ephemeral volume controller to create the persistentvolumeclaim "p-e"`}},
	} {
		store := volumes.New()
		for _, o := range append(slices.Clone(common), tc.objects...) {
			store.Set(o)
		}
		got, _ := verdicts(t, New(nil, store, testingclock.NewFakeClock(time.Time{})), tc.pod)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestReserve: what is assumed for one pod is taken for the next, until it is
// taken back.
func TestReserve(t *testing.T) {
	store := volumes.New()
	for _, o := range []any{newClass("none", "kubernetes.io/no-provisioner"), newClass("late", "csi"), newVolume("v", "none", "1"),
		newClaim("a", "none", "1"), newClaim("b", "none", "1"), newClaim("c", "late", "1")} {
		store.Set(o)
	}
	p := New(nil, store, testingclock.NewFakeClock(time.Time{}))
	cs := framework.NewCycleState()
	pod := podOf("a", "c")
	if _, st := p.PreFilter(t.Context(), cs, pod, nil); !st.IsSuccess() {
		t.Fatal(st)
	}
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{"zone": "x"}}}
	if st := p.Filter(t.Context(), cs, pod, cache.NewNodeInfo(node)); !st.IsSuccess() {
		t.Fatal(st)
	}
	if st := p.Reserve(t.Context(), cs, pod, "x"); !st.IsSuccess() {
		t.Fatal(st)
	}
	if _, st := p.PreBindPreFlight(t.Context(), cs, pod, "x"); !st.IsSuccess() {
		t.Error("nothing to bind:", st)
	}
	if got, _ := verdicts(t, p, podOf("b")); got[0] != ErrReasonBindConflict {
		t.Error("the volume is not taken:", got)
	}
	if got, _ := verdicts(t, p, podOf("c")); !slices.Equal(got, []string{"", ErrReasonBindConflict}) {
		t.Error("the claim has no node:", got)
	}
	p.Unreserve(t.Context(), cs, pod, "x")
	if got, _ := verdicts(t, p, podOf("b")); got[0] != "" {
		t.Error("the volume is still taken:", got)
	}
	if got, _ := verdicts(t, p, podOf("c")); got[1] != "" {
		t.Error("the claim still has a node:", got)
	}
}

func TestScore(t *testing.T) {
	store := volumes.New()
	driver := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "csi"}, Spec: storagev1.CSIDriverSpec{StorageCapacity: ptr.To(true)}}
	for _, o := range []any{driver, newClass("late", "csi"), newClass("none", "kubernetes.io/no-provisioner"), newClaim("a", "late", "2"), newClaim("b", "none", "5"),
		capacity("c", "late", "x", "10"), capacity("d", "late", "y", "4"), newVolume("v", "none", "10", "x"), newVolume("w", "none", "5", "y")} {
		store.Set(o)
	}
	p := New(nil, store, testingclock.NewFakeClock(time.Time{}))
	for _, tc := range []struct {
		claim string
		want  []int64
	}{{"a", []int64{80, 50}}, {"b", []int64{50, 0}}} {
		_, s := verdicts(t, p, podOf(tc.claim))
		cs := framework.NewCycleState()
		cs.Write(stateKey, s)
		if st := p.PreScore(context.Background(), cs, nil, nil); !st.IsSuccess() {
			t.Error(tc.claim, st)
		}
		for i, zone := range []string{"x", "y"} {
			n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: zone}}
			if got, _ := p.Score(t.Context(), cs, nil, cache.NewNodeInfo(n)); got != tc.want[i] {
				t.Errorf("%s on %s: %d, want %d", tc.claim, zone, got, tc.want[i])
			}
		}
	}
}

func TestHints(t *testing.T) {
	pod := podOf("a")
	less, more := capacity("c", "late", "x", "1"), capacity("c", "late", "x", "2")
	tells, silent := &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{StorageCapacity: ptr.To(true)}}, &storagev1.CSIDriver{}
	for name, tc := range map[string]struct {
		hint     fwk.QueueingHintFn
		old, new any
		want     fwk.QueueingHint
	}{
		"its claim":          {claimChanged, nil, newClaim("a", "", "1"), fwk.Queue},
		"another claim":      {claimChanged, nil, newClaim("b", "", "1"), fwk.QueueSkip},
		"a class comes":      {classChanged, nil, newClass("c", "p"), fwk.Queue},
		"topologies change":  {classChanged, newClass("c", "p"), newClass("c", "p", "x"), fwk.Queue},
		"a class stays":      {classChanged, newClass("c", "p"), newClass("c", "p"), fwk.QueueSkip},
		"more space":         {capacityChanged, less, more, fwk.Queue},
		"less space":         {capacityChanged, more, less, fwk.QueueSkip},
		"nobody tells more":  {driverChanged, tells, silent, fwk.Queue},
		"somebody tells now": {driverChanged, silent, tells, fwk.QueueSkip},
	} {
		if got, err := tc.hint(klog.Background(), pod, tc.old, tc.new); err != nil || got != tc.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
