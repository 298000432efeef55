package resourceclaim

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func podUsing(claims ...corev1.PodResourceClaim) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p", UID: "u"}, Spec: corev1.PodSpec{ResourceClaims: claims}}
}

func claimOf(name, podClaim string, owner types.UID) *resourcev1.ResourceClaim {
	return &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Annotations: map[string]string{resourcev1.PodResourceClaimAnnotation: podClaim},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: owner, Controller: ptr.To(true)}}}}
}

func TestPlanPod(t *testing.T) {
	templated := corev1.PodResourceClaim{Name: "gpu", ResourceClaimTemplateName: ptr.To("t")}
	direct := corev1.PodResourceClaim{Name: "net", ResourceClaimName: ptr.To("shared")}
	template := &resourcev1.ResourceClaimTemplate{Spec: resourcev1.ResourceClaimTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}}}
	status := func(pod *corev1.Pod, name *string) *corev1.Pod {
		pod.Status.ResourceClaimStatuses = append(pod.Status.ResourceClaimStatuses, corev1.PodResourceClaimStatus{Name: "gpu", ResourceClaimName: name})
		return pod
	}
	bound := func(pod *corev1.Pod) *corev1.Pod { pod.Spec.NodeName = "n"; return pod }
	allocated := func(c *resourcev1.ResourceClaim, consumers ...types.UID) *resourcev1.ResourceClaim {
		c.Status.Allocation = &resourcev1.AllocationResult{}
		for _, u := range consumers {
			c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: "x", UID: u})
		}
		return c
	}
	going := podUsing(templated)
	going.DeletionTimestamp = &metav1.Time{}
	for name, tc := range map[string]struct {
		pod     *corev1.Pod
		claims  []*resourcev1.ResourceClaim
		without bool // the template
		create  bool
		named   string
		reserve string
		failed  string
	}{
		"new":                    {pod: podUsing(templated), create: true},
		"no template":            {pod: podUsing(templated), without: true, failed: `PodResourceClaim gpu: resource claim template "t": resourceclaimtemplate.resource.k8s.io "t" not found`},
		"going":                  {pod: going},
		"no status yet":          {pod: podUsing(templated), claims: []*resourcev1.ResourceClaim{claimOf("c", "gpu", "u")}, named: "c"},
		"of another claim":       {pod: podUsing(templated), claims: []*resourcev1.ResourceClaim{claimOf("c", "fpga", "u")}, create: true},
		"complete":               {pod: status(podUsing(templated), ptr.To("c")), claims: []*resourcev1.ResourceClaim{claimOf("c", "gpu", "u")}},
		"deleted by somebody":    {pod: status(podUsing(templated), ptr.To("c")), create: true},
		"of another pod":         {pod: status(podUsing(templated), ptr.To("c")), claims: []*resourcev1.ResourceClaim{claimOf("c", "gpu", "other")}, create: true},
		"not needed":             {pod: status(podUsing(templated), nil)},
		"of no known kind":       {pod: podUsing(corev1.PodResourceClaim{Name: "x"}), failed: "none of the supported fields are set"},
		"direct":                 {pod: podUsing(direct)},
		"bound":                  {pod: bound(podUsing(direct)), claims: []*resourcev1.ResourceClaim{allocated(claimOf("shared", "", "other"), "other")}, reserve: "shared"},
		"bound, reserved":        {pod: bound(podUsing(direct)), claims: []*resourcev1.ResourceClaim{allocated(claimOf("shared", "", "other"), "u")}},
		"bound, not allocated":   {pod: bound(podUsing(direct)), claims: []*resourcev1.ResourceClaim{claimOf("shared", "", "other")}},
		"not bound":              {pod: podUsing(direct), claims: []*resourcev1.ResourceClaim{allocated(claimOf("shared", "", "other"))}},
		"bound, from a template": {pod: bound(status(podUsing(templated), ptr.To("c"))), claims: []*resourcev1.ResourceClaim{allocated(claimOf("c", "gpu", "u"))}, reserve: "c"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := observed{pod: tc.pod, claims: map[string]*resourcev1.ResourceClaim{}, templates: map[string]*resourcev1.ResourceClaimTemplate{}}
			for _, c := range tc.claims {
				o.claims[c.Name] = c
			}
			if !tc.without {
				o.templates["t"] = template
			}
			a := planPod(o)
			if tc.failed != "" {
				g.Expect(a.failed).To(MatchError(ContainSubstring(tc.failed)))
				return
			}
			g.Expect(a.failed).NotTo(HaveOccurred())
			named := tc.named
			if tc.create {
				g.Expect(a.create).To(HaveLen(1))
				c := a.create[0]
				named = c.Name
				g.Expect(named).To(MatchRegexp(`^p-gpu-[a-z0-9]{5}$`))
				g.Expect(planPod(o).create[0].Name).To(Equal(named), "made twice it has the same name")
				g.Expect(c.Labels).To(HaveKeyWithValue("a", "b"))
				g.Expect(c.Annotations).To(HaveKeyWithValue(resourcev1.PodResourceClaimAnnotation, "gpu"))
				g.Expect(metav1.IsControlledBy(c, tc.pod)).To(BeTrue())
			} else {
				g.Expect(a.create).To(BeEmpty())
			}
			if named == "" {
				g.Expect(a.statuses).To(BeNil())
			} else {
				g.Expect(a.statuses).To(Equal([]corev1.PodResourceClaimStatus{{Name: "gpu", ResourceClaimName: &named}}))
			}
			if tc.reserve == "" {
				g.Expect(a.reserve).To(BeEmpty())
				return
			}
			g.Expect(a.reserve).To(HaveLen(1))
			g.Expect(a.reserve[0].Name).To(Equal(tc.reserve))
			g.Expect(a.reserve[0].Status.ReservedFor).To(ContainElement(resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: "p", UID: "u"}))
		})
	}
}

func TestPrefix(t *testing.T) {
	g := NewWithT(t)
	g.Expect(prefix("pod", "claim")).To(Equal("pod-claim-"))
	long := prefix(strings.Repeat("p", 200), strings.Repeat("c", 50))
	g.Expect(len(long)).To(BeNumerically("<=", maxPrefix+1))
	g.Expect(long).To(MatchRegexp("^p{45}-c{11}$"))
}

func TestPlanClaim(t *testing.T) {
	running, finished := podUsing(), podUsing()
	finished.Status.Phase = corev1.PodSucceeded
	unscheduled := podUsing()
	unscheduled.DeletionTimestamp = &metav1.Time{}
	replaced := podUsing()
	replaced.UID = "v"
	for name, tc := range map[string]struct {
		consumers  []types.UID
		stale      []types.UID
		deleted    bool
		unfinal    bool // no finalizer
		named      *corev1.Pod
		remaining  int // -1: no write
		deallocate bool
		unprotect  bool
		remove     bool
	}{
		"in use":                 {consumers: []types.UID{"u"}, named: running, remaining: -1},
		"one of two left":        {consumers: []types.UID{"u", "v"}, stale: []types.UID{"v"}, named: running, remaining: 1},
		"the last left":          {consumers: []types.UID{"u"}, stale: []types.UID{"u"}, remaining: 0, deallocate: true, unprotect: true},
		"the last left, pod end": {consumers: []types.UID{"u"}, stale: []types.UID{"u"}, named: finished, remaining: 0, deallocate: true, unprotect: true, remove: true},
		"allocated otherwise":    {consumers: []types.UID{"u"}, stale: []types.UID{"u"}, unfinal: true, remaining: 0},
		"never used":             {named: running, remaining: -1},
		"deleted, never used":    {deleted: true, remaining: 0, deallocate: true, unprotect: true},
		"deleted, in use":        {deleted: true, consumers: []types.UID{"u"}, named: running, remaining: -1},
		"not used, pod done":     {named: finished, remaining: -1, remove: true},
		"not used, pod going":    {named: unscheduled, remaining: -1, remove: true},
		"not used, pod replaced": {named: replaced, remaining: -1, remove: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c := claimOf("c", "gpu", "u")
			c.Status.Allocation = &resourcev1.AllocationResult{}
			if !tc.unfinal {
				c.Finalizers = []string{resourcev1.Finalizer}
			}
			if tc.deleted {
				c.DeletionTimestamp = &metav1.Time{}
			}
			for _, u := range tc.consumers {
				c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: "x", UID: u})
			}
			stale := map[types.UID]bool{}
			for _, u := range tc.stale {
				stale[u] = true
			}
			a := planClaim(c, stale, tc.named)
			g.Expect(a.status == nil).To(Equal(tc.remaining < 0))
			if a.status != nil {
				g.Expect(a.status.Status.ReservedFor).To(HaveLen(tc.remaining))
				g.Expect(a.status.Status.Allocation == nil).To(Equal(tc.deallocate))
			}
			g.Expect(a.unprotect).To(Equal(tc.unprotect))
			g.Expect(a.remove).To(Equal(tc.remove))
		})
	}
}
