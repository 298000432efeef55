package statefulset

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

func TestTranscripts(t *testing.T) {
	for name, play := range scenarios() {
		t.Run(name, func(t *testing.T) {
			golden.Check(t, *rewrite, name, play().log.String())
		})
	}
}

// TestRandomUpdates checks invariants 1 to 3 at every step of random lives, and
// that all end complete. The world itself panics over a second pod of a name.
func TestRandomUpdates(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(int32(rng.IntN(8)))
		if rng.IntN(2) == 0 {
			w.set.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
		}
		w.set.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = ptr.To(intstr.FromInt32(1 + rng.Int32N(3)))
		for step := range 80 {
			scaled := rng.IntN(10) == 0
			if scaled {
				w.scale(rng.Int32N(8))
			}
			if rng.IntN(10) == 0 {
				w.image(fmt.Sprintf("v%d", rng.IntN(3)))
			}
			check(t, w, seed, step)
			w.reconcile()
			if rng.IntN(3) > 0 {
				w.run()
			}
			w.now = w.now.Add(time.Second)
		}
		w.settle()
		s, size := w.set.Status, *w.set.Spec.Replicas
		if s.Replicas != size || s.AvailableReplicas != size || s.UpdatedReplicas != size || s.CurrentRevision != s.UpdateRevision || s.CurrentReplicas != size {
			t.Fatalf("seed %d did not complete:\n%s", seed, &w.log)
		}
	}
}

func check(t *testing.T, w *world, seed uint64, step int) {
	t.Helper()
	o := w.observed()
	p := plan(o, w.now)
	if o.Set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
		if len(p.Create) > 1 || len(p.Create)*len(p.Delete) > 0 {
			t.Fatalf("seed %d step %d: ordered, but creates %d and deletes %d\n%s", seed, step, len(p.Create), len(p.Delete), &w.log)
		}
	}
	available, updates := 0, 0
	for _, pod := range o.Pods {
		if wanted(o.Set, ordinalOf(pod)) && pod.DeletionTimestamp == nil && podapi.IsReady(pod) {
			available++
		}
	}
	for _, pod := range p.Delete {
		if wanted(o.Set, ordinalOf(pod)) && podapi.IsReady(pod) {
			updates++
		}
	}
	if updates > 0 && available-updates < sizeOf(o.Set)-budget(o.Set) {
		t.Fatalf("seed %d step %d: %d of %d are available and %d are deleted\n%s", seed, step, available, sizeOf(o.Set), updates, &w.log)
	}
}

func TestParse(t *testing.T) {
	for name, want := range map[string]struct {
		set     string
		ordinal int
	}{
		"web-0": {"web", 0}, "a-b-12": {"a-b", 12}, "web": {"", -1}, "web-": {"", -1}, "web-x": {"", -1}, "web-1x": {"", -1}, "web-99999999999": {"web", -1},
	} {
		if set, n := parse(name); set != want.set || n != want.ordinal {
			t.Errorf("%s: %q, %d", name, set, n)
		}
	}
}

func TestNewPodHasAnIdentity(t *testing.T) {
	w := newWorld(3)
	w.set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: map[string]string{"x": "y"}}}}
	w.set.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data"}, {Name: "other"}}
	w.set.Spec.Template.Finalizers = []string{"f/f"}
	p := newPod(w.set, Revision{"web-abc", &w.set.Spec.Template}, 2)
	want := map[string]string{
		"app": "web", "controller-revision-hash": "web-abc",
		"statefulset.kubernetes.io/pod-name": "web-2", "apps.kubernetes.io/pod-index": "2",
	}
	if p.Name != "web-2" || p.Spec.Hostname != "web-2" || p.Spec.Subdomain != "svc" || !cmp.Equal(p.Labels, want) || len(p.Finalizers) != 1 {
		t.Errorf("pod %+v", p)
	}
	if v := p.Spec.Volumes; len(v) != 2 || v[0].PersistentVolumeClaim == nil || v[0].PersistentVolumeClaim.ClaimName != "data-web-2" || v[1].Name != "other" {
		t.Errorf("volumes %+v", v)
	}
	if len(w.set.Spec.Template.Labels) != 1 {
		t.Error("the pod shares its labels with the template")
	}
	c := newClaim(w.set, &w.set.Spec.VolumeClaimTemplates[0], 2)
	if c.Name != "data-web-2" || c.Namespace != "ns" || !cmp.Equal(c.Labels, map[string]string{"x": "y", "app": "web"}) {
		t.Errorf("claim %+v", c)
	}
}

func TestAnUnsettledOrDeletedSetOnlyReports(t *testing.T) {
	for _, change := range []func(*Observed){
		func(o *Observed) { o.Settled = false },
		func(o *Observed) { o.Set.DeletionTimestamp = ptr.To(metav1.NewTime(time.Unix(1, 0))) },
	} {
		o := newWorld(3).observed()
		change(&o)
		p := plan(o, time.Unix(1, 0))
		if len(p.Create) > 0 || p.Status.ObservedGeneration != 1 || p.Status.UpdateRevision != "v1" {
			t.Errorf("%+v", p)
		}
	}
}

func TestAClaimThatGoesBlocksItsPod(t *testing.T) {
	w := newWorld(1)
	w.set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	c := newClaim(w.set, &w.set.Spec.VolumeClaimTemplates[0], 0)
	c.DeletionTimestamp = ptr.To(metav1.NewTime(w.now))
	w.claims[c.Name] = c
	p := plan(w.observed(), w.now)
	if len(p.Create) != 0 || len(p.Blocked) != 1 || p.Blocked[0].Err.Error() != "pvc data-web-0 is being deleted" {
		t.Errorf("%+v", p)
	}
	// One of an earlier pod of that name is waited for in silence.
	w.set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: remove, WhenDeleted: retain}
	c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "web-0", UID: "old", Controller: ptr.To(true)}}
	p = plan(w.observed(), w.now)
	if len(p.Create)+len(p.Blocked)+len(p.Claims) != 0 {
		t.Errorf("%+v", p)
	}
}

func TestAClaimWhosePodNeverCameGoesWhenTheSetShrinks(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world, *corev1.PersistentVolumeClaim)
		goes   bool
	}{
		"its pod never came": {func(*world, *corev1.PersistentVolumeClaim) {}, true},
		"its pod is there": {func(w *world, _ *corev1.PersistentVolumeClaim) {
			w.pods = append(w.pods, newPod(w.set, w.revisions[0], 2))
		}, false},
		"still wanted":     {func(w *world, _ *corev1.PersistentVolumeClaim) { w.scale(3) }, false},
		"made by the user": {func(_ *world, c *corev1.PersistentVolumeClaim) { c.OwnerReferences = nil }, false},
		"another's":        {func(_ *world, c *corev1.PersistentVolumeClaim) { c.Name = "log-web-2" }, false},
		"kept when it shrinks": {func(w *world, _ *corev1.PersistentVolumeClaim) {
			w.set.Spec.PersistentVolumeClaimRetentionPolicy.WhenScaled = retain
		}, false},
	} {
		w := newWorld(2)
		w.set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
		w.set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: remove, WhenDeleted: remove}
		w.settle()
		left := newClaim(w.set, &w.set.Spec.VolumeClaimTemplates[0], 2)
		c.change(w, left)
		w.claims[left.Name] = left
		p := plan(w.observed(), w.now)
		if got := len(p.Discard) == 1 && p.Discard[0] == left; got != c.goes || len(p.Discard) > 1 {
			t.Errorf("%s: discards %v", name, p.Discard)
		}
	}
}
