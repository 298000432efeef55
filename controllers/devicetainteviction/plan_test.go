package devicetainteviction

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

var start = time.Unix(1_700_000_000, 0).UTC()

func taint(key string, effect resourcev1.DeviceTaintEffect, since time.Duration) resourcev1.DeviceTaint {
	return resourcev1.DeviceTaint{Key: key, Effect: effect, TimeAdded: ptr.To(metav1.NewTime(start.Add(since)))}
}

func slice(name, pool string, generation int64, device string, taints ...resourcev1.DeviceTaint) *resourcev1.ResourceSlice {
	return &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: resourcev1.ResourceSliceSpec{
		Driver: "d", Pool: resourcev1.ResourcePool{Name: pool, Generation: generation},
		Devices: []resourcev1.Device{{Name: device, Taints: taints}},
	}}
}

func rule(name, pool, device string, t resourcev1.DeviceTaint) *resourcev1.DeviceTaintRule {
	r := &resourcev1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Generation: 1}}
	r.Spec = resourcev1.DeviceTaintRuleSpec{DeviceSelector: &resourcev1.DeviceTaintSelector{Pool: &pool}, Taint: t}
	if device != "" {
		r.Spec.DeviceSelector.Device = &device
	}
	return r
}

func tolerated(key string, seconds *int64) resourcev1.DeviceToleration {
	return resourcev1.DeviceToleration{Key: key, Operator: resourcev1.DeviceTolerationOpExists, Effect: resourcev1.DeviceTaintEffectNoExecute, TolerationSeconds: seconds}
}

func claimed(name, pool, device string, pods []string, tolerations ...resourcev1.DeviceToleration) *resourcev1.ResourceClaim {
	c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	c.Status.Allocation = &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{
		{Driver: "d", Pool: pool, Device: device, Tolerations: tolerations}}}}
	for _, p := range pods {
		c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: p, UID: types.UID(p)})
	}
	return c
}

func using(name string, claims ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)}, Spec: corev1.PodSpec{NodeName: "n"}}
	for _, c := range claims {
		p.Spec.ResourceClaims = append(p.Spec.ResourceClaims, corev1.PodResourceClaim{Name: c, ResourceClaimName: &c})
	}
	return p
}

// The time of a pod's end is the first second at which a look at each taint of
// each of its devices finds one that is not tolerated any more.
func TestOfPodAgainstTheClock(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		effect := func() resourcev1.DeviceTaintEffect {
			return []resourcev1.DeviceTaintEffect{resourcev1.DeviceTaintEffectNoExecute, resourcev1.DeviceTaintEffectNoExecute, resourcev1.DeviceTaintEffectNoSchedule}[rng.IntN(3)]
		}
		random := func() resourcev1.DeviceTaint {
			return taint([]string{"a", "b"}[rng.IntN(2)], effect(), time.Duration(rng.IntN(20))*time.Second)
		}
		known := newDevices()
		onDevice := map[string][]resourcev1.DeviceTaint{}
		for _, device := range []string{"x", "y"} {
			for range rng.IntN(3) {
				onDevice[device] = append(onDevice[device], random())
			}
			known.replace(nil, slice("new"+device, "p", 2, device, onDevice[device]...))
			known.replace(nil, slice("old"+device, "p", 1, device, taint("c", resourcev1.DeviceTaintEffectNoExecute, 0)))
		}
		v := view{taints: known.taints}
		for i := range rng.IntN(3) {
			r := rule(fmt.Sprint("r", i), []string{"p", "q"}[rng.IntN(2)], []string{"", "x"}[rng.IntN(2)], random())
			for _, device := range []string{"x", "y"} {
				if *r.Spec.DeviceSelector.Pool == "p" && (r.Spec.DeviceSelector.Device == nil || device == "x") {
					onDevice[device] = append(onDevice[device], r.Spec.Taint)
				}
			}
			if r.Spec.Taint.Effect == resourcev1.DeviceTaintEffectNoExecute {
				v.rules = append(v.rules, r)
			}
		}
		claims := map[string]*resourcev1.ResourceClaim{}
		var mine []*resourcev1.ResourceClaim
		for i := range rng.IntN(3) {
			var tolerations []resourcev1.DeviceToleration
			for range rng.IntN(3) {
				var seconds *int64
				if rng.IntN(3) > 0 {
					seconds = ptr.To(int64(rng.IntN(20) - 2))
				}
				tolerations = append(tolerations, tolerated([]string{"a", "b", ""}[rng.IntN(3)], seconds))
			}
			c := claimed(fmt.Sprint("c", i), "p", []string{"x", "y"}[rng.IntN(2)], []string{"other"}, tolerations...)
			if rng.IntN(4) > 0 {
				c.Status.ReservedFor[0].UID = "pod"
				mine = append(mine, c)
			}
			claims[c.Name] = c
		}
		v.claim = func(_, name string) *resourcev1.ResourceClaim { return claims[name] }
		e := v.ofPod(using("pod", "c0", "c1", "missing"))
		for s := range 60 {
			now := start.Add(time.Duration(s) * time.Second)
			want := false
			for _, c := range mine {
				d := c.Status.Allocation.Devices.Results[0]
				for _, on := range onDevice[d.Device] {
					want = want || ends(on, d.Tolerations, now)
				}
			}
			if got := e != nil && !e.at.After(now); got != want {
				t.Fatalf("seed %d after %d s: %t, want %t", seed, s, got, want)
			}
		}
	}
}

func ends(on resourcev1.DeviceTaint, tolerations []resourcev1.DeviceToleration, now time.Time) bool {
	if on.Effect != resourcev1.DeviceTaintEffectNoExecute || now.Before(on.TimeAdded.Time) {
		return false
	}
	some, over := false, false
	for _, tol := range tolerations {
		if tol.Key != "" && tol.Key != on.Key {
			continue
		}
		if tol.TolerationSeconds == nil {
			return false
		}
		some = true
		over = over || !now.Before(on.TimeAdded.Add(time.Duration(max(0, *tol.TolerationSeconds))*time.Second))
	}
	return !some || over
}

// The conditions of rules, while random numbers of pods have to go.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	for range 6 {
		u := rule("r", "p", "", taint("a", golden.Pick(r, resourcev1.DeviceTaintEffectNoExecute, resourcev1.DeviceTaintEffectNoExecute, resourcev1.DeviceTaintEffectNone, resourcev1.DeviceTaintEffectNoSchedule), 0))
		now := start
		for range 6 {
			if r.Chance(5) {
				u.Generation++
			}
			p := progress{pods: r.IntN(4), evicted: r.IntN(3), published: r.IntN(3), allocated: r.IntN(3)}
			p.namespaces = min(p.pods, 1+r.IntN(2))
			line := fmt.Sprintf("after %v, %s of generation %d, %+v", now.Sub(start), u.Spec.Taint.Effect, u.Generation, p)
			if wait := tooSoon(u, now); wait > 0 {
				r.Say("%s: not before %v", line, wait)
			} else if changed := withCondition(u, condition(u, p, now)); changed == nil {
				r.Say("%s: the same", line)
			} else {
				u = changed
				c := evictionCondition(u)
				r.Say("%s:\n  %s %s: %s", line, c.Status, c.Reason, c.Message)
			}
			now = now.Add(time.Duration(2+r.IntN(12)) * time.Second)
		}
	}
	golden.Check(t, *rewrite, "rules", r.String())
}
