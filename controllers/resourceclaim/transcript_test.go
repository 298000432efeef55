package resourceclaim

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// Claims whose consumers leave at random, each plan carried out: a claim
// without consumers is neither allocated nor protected when it was.
func TestClaimTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	for n := range 12 {
		claim := claimOf("c", "gpu", "u")
		claim.Finalizers = []string{resourcev1.Finalizer}
		claim.Status.Allocation = &resourcev1.AllocationResult{}
		for i := range 1 + r.IntN(3) {
			claim.Status.ReservedFor = append(claim.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: fmt.Sprint("p", i), UID: types.UID(fmt.Sprint("u", i))})
		}
		if r.Chance(3) {
			claim.Status.ReservedFor[0].Resource = "jobs"
		}
		var owner *corev1.Pod
		if r.Chance(2) {
			owner = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: golden.Pick(r, types.UID("u"), "another")}}
			owner.Status.Phase = golden.Pick(r, corev1.PodRunning, corev1.PodSucceeded)
		}
		r.Say("%d: %s, its pod %s", n, consumers(claim), describe(owner))
		for range 4 {
			stale := map[types.UID]bool{}
			var left []string
			for _, c := range claim.Status.ReservedFor {
				if r.Chance(2) {
					stale[c.UID] = true
					left = append(left, c.Name)
				}
			}
			if r.Chance(4) {
				claim.DeletionTimestamp = &metav1.Time{}
				left = append(left, "the claim is deleted")
			}
			a := planClaim(claim, stale, owner)
			if a.status != nil {
				claim = a.status
			}
			if a.unprotect {
				claim.Finalizers = nil
			}
			r.Say("  without %v: %s allocated %t protected %t remove %t", left, consumers(claim), claim.Status.Allocation != nil, len(claim.Finalizers) > 0, a.remove)
			if a.remove {
				break
			}
		}
	}
	golden.Check(t, *rewrite, "claims", r.String())
}

func consumers(c *resourcev1.ResourceClaim) string {
	var names []string
	for _, ref := range c.Status.ReservedFor {
		names = append(names, ref.Resource+"/"+ref.Name)
	}
	return "[" + strings.Join(names, " ") + "]"
}

func describe(p *corev1.Pod) string {
	if p == nil {
		return "unknown"
	}
	return string(p.UID) + " " + string(p.Status.Phase)
}

// Pods with random claims and templates; the plan carried out, a second is empty.
func TestPodTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	for n := range 20 {
		o := observed{pod: podUsing(), claims: map[string]*resourcev1.ResourceClaim{}, templates: map[string]*resourcev1.ResourceClaimTemplate{"t": {}}}
		line := fmt.Sprint(n, ":")
		for i := range r.IntN(4) {
			name := fmt.Sprint("c", i)
			c := corev1.PodResourceClaim{Name: name}
			switch r.IntN(3) {
			case 0:
				c.ResourceClaimName = ptr.To("shared")
				line += " " + name + " shared"
			case 1:
				c.ResourceClaimTemplateName = ptr.To("t")
				line += " " + name + " of t"
			case 2:
				c.ResourceClaimTemplateName = ptr.To("lost")
				line += " " + name + " of a template that is not there"
			}
			o.pod.Spec.ResourceClaims = append(o.pod.Spec.ResourceClaims, c)
			if r.Chance(3) {
				made := claimOf("made-"+name, name, golden.Pick(r, types.UID("u"), "another"))
				o.claims[made.Name] = made
				line += fmt.Sprintf(" (made for %s)", made.OwnerReferences[0].UID)
			}
		}
		a := planPod(o)
		r.Say("%s", line)
		for _, c := range a.create {
			r.Say("  create %s for %s", c.GenerateName, c.Annotations[resourcev1.PodResourceClaimAnnotation])
		}
		for _, s := range a.statuses {
			r.Say("  %s is %s", s.Name, ptr.Deref(s.ResourceClaimName, "none"))
		}
		if a.failed != nil {
			r.Say("  %v", a.failed)
		}
		if a.statuses != nil {
			o.pod = o.pod.DeepCopy()
			o.pod.Status.ResourceClaimStatuses = a.statuses
		}
		for i, c := range a.create {
			c.Name, c.UID = fmt.Sprint("new", i), types.UID(fmt.Sprint("new", i))
			o.claims[c.Name] = c
		}
		if len(a.create) > 0 {
			if again := planPod(o); len(again.create) > 0 {
				t.Errorf("%d: created again: %v", n, again.create[0].Name)
			}
		}
	}
	golden.Check(t, *rewrite, "pods", r.String())
}
