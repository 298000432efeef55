package admission_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/api/imagepolicy/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sadmission "k8s.io/apiserver/pkg/admission"

	"github.com/coracle-k8s/coracle/apiserver/admission/always"
	"github.com/coracle-k8s/coracle/apiserver/admission/imagepolicy"
	"github.com/coracle-k8s/coracle/apiserver/admission/nodedeclaredfeatures"
	"github.com/coracle-k8s/coracle/apiserver/admission/podresize"
	"github.com/coracle-k8s/coracle/apiserver/admission/podtolerationrestriction"
)

// machines is a world of nodes.
type machines map[string]*corev1.Node

func (m machines) LiveNode(_ context.Context, name string) (*corev1.Node, error) {
	if n := m[name]; n != nil {
		return n, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("nodes"), name)
}

func resize(pod, old *corev1.Pod) ask {
	a := podAsk(k8sadmission.Update, pod, old)
	a.sub = "resize"
	return a
}

func TestResizesThatNodesCannotGrant(t *testing.T) {
	g := NewWithT(t)
	world := machines{
		"small": {Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi")}}},
		"glass": {ObjectMeta: metav1.ObjectMeta{Name: "glass", Labels: map[string]string{corev1.LabelOSStable: "windows"}}},
	}
	sized := func(node, cpu, memory string, generation int64) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: generation}, Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}},
		}}}}
	}
	p := podresize.New(world)
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"fits":      {sized("small", "1", "1Gi", 2), ""},
		"too much":  {sized("small", "2", "2Gi", 2), "node didn't have enough allocatable resources: cpu, requested: 2000, allocatable: 1000; memory, requested: 2147483648, allocatable: 1073741824"},
		"unchanged": {sized("small", "2", "2Gi", 1), ""},
		"unbound":   {sized("", "2", "2Gi", 2), ""},
		"gone":      {sized("gone", "1", "1Gi", 2), `node "gone" not found`},
		"windows":   {sized("glass", "1", "1Gi", 2), `pod resize is only supported on linux nodes, node "glass" is "windows"`},
	} {
		wants(t, name, admit(t, p, resize(c.pod, sized("small", "1", "1Gi", 1))), c.want)
	}
	err := admit(t, p, resize(sized("small", "2", "1Gi", 2), sized("small", "1", "1Gi", 1)))
	g.Expect(apierrors.HasStatusCause(err, "NodeCapacity")).To(BeTrue())
	wants(t, "no resize", admit(t, p, podAsk(k8sadmission.Update, sized("small", "2", "1Gi", 2), sized("small", "1", "1Gi", 1))), "")
}

func TestChangesThatNeedANodesFeature(t *testing.T) {
	const feature = "InPlacePodLevelResourcesVerticalScaling"
	world := machines{
		"old": {ObjectMeta: metav1.ObjectMeta{Name: "old"}},
		"new": {ObjectMeta: metav1.ObjectMeta{Name: "new"}, Status: corev1.NodeStatus{DeclaredFeatures: []string{feature}}},
	}
	sized := func(node, cpu string, generation int64) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: generation}, Spec: corev1.PodSpec{NodeName: node,
			Resources: &corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}}}
	}
	p := nodedeclaredfeatures.New(world)
	wants(t, "it has it", admit(t, p, resize(sized("new", "2", 2), sized("new", "1", 1))), "")
	wants(t, "it lacks it", admit(t, p, resize(sized("old", "2", 2), sized("old", "1", 1))),
		"pod update requires features "+feature+` which are not available on node "old"`)
	wants(t, "nothing changed", admit(t, p, resize(sized("old", "1", 1), sized("old", "1", 1))), "")
	wants(t, "no node", admit(t, p, resize(sized("", "2", 2), sized("", "1", 1))), "")
}

func TestPodTolerationRestriction(t *testing.T) {
	g := NewWithT(t)
	_, err := podtolerationrestriction.New(places{}, strings.NewReader("kind: Boat"))
	g.Expect(err).To(MatchError(ContainSubstring(`kind: Unsupported value: "Boat"`)))
	annotated := func(a map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Annotations: a}}
	}
	world := places{
		"ns": annotated(map[string]string{
			"scheduler.alpha.kubernetes.io/defaultTolerations":   `[{"key":"a","operator":"Exists"}]`,
			"scheduler.alpha.kubernetes.io/tolerationsWhitelist": `[{"key":"a","operator":"Exists"},{"key":"b","operator":"Equal","value":"x"}]`,
		}),
		"bare": annotated(nil), "empty": annotated(map[string]string{"scheduler.alpha.kubernetes.io/tolerationsWhitelist": "", "scheduler.alpha.kubernetes.io/defaultTolerations": ""}),
	}
	p, err := podtolerationrestriction.New(world, strings.NewReader(`
apiVersion: podtolerationrestriction.admission.k8s.io/v1alpha1
kind: Configuration
default: [{key: c, operator: Exists}]
whitelist: [{key: c, operator: Exists}]
`))
	g.Expect(err).NotTo(HaveOccurred())
	ask := func(ns string, has ...corev1.Toleration) (*corev1.Pod, error) {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Tolerations: has}}
		a := podAsk(k8sadmission.Create, pod, nil)
		a.ns = ns
		return pod, admit(t, p, a)
	}
	any, equal := corev1.TolerationOpExists, corev1.TolerationOpEqual
	pod, err := ask("ns", corev1.Toleration{Key: "a", Operator: equal, Value: "1"}, corev1.Toleration{Key: "b", Operator: equal, Value: "x"})
	wants(t, "allowed", err, "")
	g.Expect(pod.Spec.Tolerations).To(Equal([]corev1.Toleration{{Key: "b", Operator: equal, Value: "x"}, {Key: "a", Operator: any}}), "the wider one stays")
	_, err = ask("ns", corev1.Toleration{Key: "b", Operator: equal, Value: "y"})
	wants(t, "another value", err, "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist")
	_, err = ask("bare", corev1.Toleration{Key: "b", Operator: any})
	wants(t, "the cluster's", err, "conflict with its cluster whitelist")
	pod, err = ask("bare")
	wants(t, "the cluster's default", err, "")
	g.Expect(pod.Spec.Tolerations).To(Equal([]corev1.Toleration{{Key: "c", Operator: any}}))
	pod, err = ask("empty", corev1.Toleration{Key: "b", Operator: any})
	wants(t, "an empty list allows all", err, "")
	g.Expect(pod.Spec.Tolerations).To(HaveLen(1))
	pod.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}}}}
	a := podAsk(k8sadmission.Update, pod, pod.DeepCopy())
	a.ns = "empty"
	wants(t, "with requests", admit(t, p, a), "")
	g.Expect(pod.Spec.Tolerations).To(ContainElement(corev1.Toleration{Key: corev1.TaintNodeMemoryPressure, Operator: any, Effect: corev1.TaintEffectNoSchedule}))
}

func TestAlways(t *testing.T) {
	wants(t, "admit", admit(t, always.Admit{}, podAsk(k8sadmission.Create, &corev1.Pod{}, nil)), "")
	wants(t, "deny", admit(t, always.Deny{}, podAsk(k8sadmission.Create, &corev1.Pod{}, nil)), "admission control is denying all modifications")
}

// policy starts a service that allows images without "bad" in their name and
// returns a plugin's configuration for it, and its count of questions.
func policy(t *testing.T, more string) (config string, asked *int, server *httptest.Server) {
	asked = new(int)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked++
		var review v1alpha1.ImageReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Status.Allowed = true
		for _, c := range review.Spec.Containers {
			if strings.Contains(c.Image, "bad") {
				review.Status = v1alpha1.ImageReviewStatus{Reason: "I do not like " + c.Image + " " + review.Spec.Annotations["why.image-policy.k8s.io/x"]}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n", server.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("imagePolicy: {kubeConfigFile: %q, retryBackoff: 1, %s}", kubeconfig, more), asked, server
}

func TestImagePolicyWebhook(t *testing.T) {
	g := NewWithT(t)
	_, err := imagepolicy.New(nil)
	g.Expect(err).To(MatchError(ContainSubstring("no config specified")))
	_, err = imagepolicy.New(strings.NewReader("imagePolicy: {allowTTL: 9000}"))
	g.Expect(err).To(MatchError(ContainSubstring("imagePolicy.allowTTL: valid value is between 1s and 30m0s")))

	config, asked, _ := policy(t, "defaultAllow: false")
	p, err := imagepolicy.New(strings.NewReader(config))
	g.Expect(err).NotTo(HaveOccurred())
	with := func(image string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"why.image-policy.k8s.io/x": "today", "secret": "s"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}
	}
	wants(t, "good", admit(t, p, podAsk(k8sadmission.Create, with("good"), nil)), "")
	wants(t, "good again", admit(t, p, podAsk(k8sadmission.Create, with("good"), nil)), "")
	g.Expect(*asked).To(Equal(1), "the answer is remembered")
	wants(t, "bad", admit(t, p, podAsk(k8sadmission.Create, with("bad"), nil)), "image policy webhook backend denied one or more images: I do not like bad today")
	status := podAsk(k8sadmission.Update, with("bad"), with("bad"))
	status.sub = "status"
	wants(t, "status", admit(t, p, status), "")
	debugged := with("good")
	debugged.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Image: "bad"}}}
	debug := podAsk(k8sadmission.Update, debugged, with("good"))
	debug.sub = "ephemeralcontainers"
	wants(t, "debugging", admit(t, p, debug), "I do not like bad")
}

func TestImagePolicyWebhookAway(t *testing.T) {
	g := NewWithT(t)
	for more, want := range map[string]string{"defaultAllow: false": "connection refused", "defaultAllow: true": ""} {
		config, _, server := policy(t, more)
		p, err := imagepolicy.New(strings.NewReader(config))
		g.Expect(err).NotTo(HaveOccurred())
		server.Close()
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: "i"}}}}
		wants(t, more, admit(t, p, podAsk(k8sadmission.Create, pod, nil)), want)
		if want == "" {
			g.Expect(pod.Annotations).To(HaveKeyWithValue("alpha.image-policy.k8s.io/failed-open", "true"))
		}
	}
}
