package nodeipam

import (
	"net/netip"
	"testing"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestNodesGetRanges(t *testing.T) {
	g := NewWithT(t)
	node := func(name string, cidrs ...string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)}}
		if n.Spec.PodCIDRs = cidrs; len(cidrs) > 0 {
			n.Spec.PodCIDR = cidrs[0]
		}
		return n
	}
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).
		WithObjects(node("a"), node("b"), node("old", "10.0.1.0/24"), node("simulated")).Build()
	events := record.NewFakeRecorder(10)
	ranges, err := NewRanges(map[string][]netip.Prefix{"own": prefixes("10.0.0.0/24")}, Range{netip.MustParsePrefix("10.0.0.0/22"), 24})
	g.Expect(err).NotTo(HaveOccurred())
	r := New(controllers.Deps{Client: c, Recorder: recorders.Always(events)}, Config{
		Ranges:   ranges,
		Optional: func(n *corev1.Node) bool { return n.Name == "simulated" },
	})
	pending := map[string][]netip.Prefix{}
	reserve := func(name string) ([]netip.Prefix, error) {
		var nodes corev1.NodeList
		g.Expect(c.List(t.Context(), &nodes)).To(Succeed())
		return ranges.Reserve(name, nodes.Items, pending)
	}
	var woken []string
	r.enqueue = func(n string) { woken = append(woken, n) }
	sync := func(name string) []string {
		t.Helper()
		_, err := r.Reconcile(t.Context(), request(name))
		g.Expect(err).NotTo(HaveOccurred())
		var n corev1.Node
		g.Expect(client.IgnoreNotFound(c.Get(t.Context(), client.ObjectKey{Name: name}, &n))).To(Succeed())
		return n.Spec.PodCIDRs
	}
	g.Expect(sync("a")).To(Equal([]string{"10.0.2.0/24"}))
	joined, err := reserve("joins")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(joined).To(Equal(prefixes("10.0.3.0/24")))
	pending["joins"] = joined
	g.Expect(sync("b")).To(BeEmpty())
	g.Expect(sync("b")).To(BeEmpty())
	g.Expect(sync("simulated")).To(BeEmpty())
	g.Expect(events.Events).To(HaveLen(1))
	g.Expect(<-events.Events).To(Equal("Normal CIDRNotAvailable Node b status is now: CIDRNotAvailable"))
	_, err = reserve("another")
	g.Expect(err).To(MatchError(ContainSubstring("none is left")))

	g.Expect(c.Delete(t.Context(), node("old"))).To(Succeed())
	sync("old")
	g.Expect(woken).To(ConsistOf("b", "simulated"))
	g.Expect(sync("b")).To(Equal([]string{"10.0.1.0/24"}))
	g.Expect(sync("simulated")).To(BeEmpty())
	// A reservation is not freed by the end of the node's object.
	g.Expect(c.Create(t.Context(), node("own", "10.0.0.0/24"))).To(Succeed())
	sync("own")
	g.Expect(c.Delete(t.Context(), node("own"))).To(Succeed())
	sync("own")
	g.Expect(sync("simulated")).To(BeEmpty())
}

// Ranges of nodes that are gone are free again on a server that did not lead;
// those promised to nodes that are yet to come are not.
func TestRangesOutliveLeadership(t *testing.T) {
	g := NewWithT(t)
	ranges, err := NewRanges(nil, Range{netip.MustParsePrefix("10.0.0.0/23"), 24})
	g.Expect(err).NotTo(HaveOccurred())
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24"}}}
	pending := map[string][]netip.Prefix{}
	got, err := ranges.Reserve("b", []corev1.Node{node}, pending)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(prefixes("10.0.1.0/24")))
	pending["b"] = got
	_, err = ranges.Reserve("c", []corev1.Node{node}, pending)
	g.Expect(err).To(HaveOccurred())
	got, err = ranges.Reserve("c", nil, pending)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(prefixes("10.0.0.0/24")))
}

// A node that was to register and is not expected any more leaves its range to
// others; one that has registered keeps it.
func TestExpectedNodesThatNeverRegister(t *testing.T) {
	g := NewWithT(t)
	ranges, err := NewRanges(nil, Range{netip.MustParsePrefix("10.0.0.0/23"), 24})
	g.Expect(err).NotTo(HaveOccurred())
	first, err := ranges.Reserve("a", nil, nil)
	g.Expect(err).NotTo(HaveOccurred())
	second, err := ranges.Reserve("b", nil, map[string][]netip.Prefix{"a": first})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(second).NotTo(Equal(first))
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.NodeSpec{PodCIDRs: []string{first[0].String()}}}
	_, err = ranges.Reserve("c", []corev1.Node{node}, map[string][]netip.Prefix{"b": second})
	g.Expect(err).To(MatchError(ContainSubstring("none is left")), "one has registered, another is expected")
	got, err := ranges.Reserve("c", []corev1.Node{node}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(second), "b was given up")
	again, err := ranges.Reserve("a", []corev1.Node{node}, map[string][]netip.Prefix{"c": got})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(Equal(first))

	// A range that another server granted is not given to a node that registers here.
	others, err := NewRanges(nil, Range{netip.MustParsePrefix("10.0.0.0/23"), 24})
	g.Expect(err).NotTo(HaveOccurred())
	others.Expect(map[string][]netip.Prefix{"x": prefixes("10.0.0.0/24")})
	mine, ok := others.assign(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "y"}})
	g.Expect(ok).To(BeTrue())
	g.Expect(mine).To(Equal(prefixes("10.0.1.0/24")))
}
