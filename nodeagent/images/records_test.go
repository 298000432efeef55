package images

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	clientfake "sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/runtime/fake"
)

const private, preloaded = "registry.example/a/private:1", "registry.example/a/preloaded:1"

// node is a machine with a runtime whose registry accepts one password.
type node struct {
	*testing.T
	runtime *fake.Runtime
	client  client.Client
	dir     string
	puller  *Puller
}

func newNode(t *testing.T) *node {
	n := &node{T: t, runtime: fake.New(clock.RealClock{}, preloaded), client: clientfake.NewClientBuilder().WithScheme(clientscheme.Scheme).Build(), dir: t.TempDir()}
	n.runtime.Protect(private, "right")
	n.restart()
	return n
}

// restart begins a life of the agent.
func (n *node) restart() { n.puller = NewPuller(n.runtime, n.client, n.dir) }

// secret makes a pull secret, or changes its password.
func (n *node) secret(namespace, name, password string) {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + name)}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"registry.example":{"username":"me","password":"` + password + `"}}}`)}}
	if err := n.client.Create(n.Context(), s); err != nil {
		if err := n.client.Update(n.Context(), s); err != nil {
			n.Fatal(err)
		}
	}
}

// try starts a container and returns why it does not start, and how many pulls
// that took.
func (n *node) try(image string, policy corev1.PullPolicy, namespace string, secrets ...string) (reason string, pulls int) {
	n.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}}
	for _, s := range secrets {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
	}
	quiet := func(string, string, ...any) {}
	before := n.runtime.Count("PullImage")
	_, failure := n.puller.Ensure(n.Context(), pod, &corev1.Container{Name: "c", Image: image, ImagePullPolicy: policy}, Report{Normal: quiet, Warn: quiet})
	if failure != nil {
		reason = failure.Reason
	}
	return reason, n.runtime.Count("PullImage") - before
}

// TestOthersImagesNeedTheirSecrets is the kubelet's policy NeverVerifyPreloadedImages.
func TestOthersImagesNeedTheirSecrets(t *testing.T) {
	n := newNode(t)
	n.secret("a", "key", "right")
	n.secret("b", "copy", "right")
	n.secret("b", "wrong", "guess")
	for _, step := range []struct {
		what, image string
		policy      corev1.PullPolicy
		namespace   string
		secrets     []string
		reason      string
		pulls       int
	}{
		{"a preloaded image is everybody's", preloaded, corev1.PullNever, "b", nil, "", 0},
		{"not there, no secret", private, corev1.PullIfNotPresent, "b", nil, pods.ReasonErrImagePull, 1},
		{"the owner pulls", private, corev1.PullIfNotPresent, "a", []string{"key"}, "", 1},
		{"the owner again", private, corev1.PullIfNotPresent, "a", []string{"key"}, "", 0},
		{"another without a secret", private, corev1.PullIfNotPresent, "b", nil, pods.ReasonErrImagePull, 1},
		{"another with a wrong one", private, corev1.PullIfNotPresent, "b", []string{"wrong"}, pods.ReasonErrImagePull, 1},
		{"another who may not pull", private, corev1.PullNever, "b", nil, pods.ReasonErrImageNeverPull, 0},
		{"another with the same login", private, corev1.PullNever, "b", []string{"wrong", "copy"}, "", 0},
		{"whom a failed pull took nothing", private, corev1.PullNever, "a", []string{"key"}, "", 0},
	} {
		reason, pulls := n.try(step.image, step.policy, step.namespace, step.secrets...)
		if reason != step.reason || pulls != step.pulls {
			t.Errorf("%s: %q after %d pulls", step.what, reason, pulls)
		}
	}
	n.restart()
	if reason, pulls := n.try(private, corev1.PullIfNotPresent, "b"); reason != pods.ReasonErrImagePull || pulls != 1 {
		t.Errorf("after a restart: %q after %d pulls", reason, pulls)
	}
	// A secret whose password changed is still the one that pulled.
	n.secret("a", "key", "changed")
	if reason, pulls := n.try(private, corev1.PullIfNotPresent, "a", "key"); reason != "" || pulls != 0 {
		t.Errorf("after a change of the password: %q after %d pulls", reason, pulls)
	}
}

func TestImagesPulledWithoutASecretAreEverybodys(t *testing.T) {
	n := newNode(t)
	for _, namespace := range []string{"a", "b"} {
		if reason, _ := n.try("registry.example/a/public:1", corev1.PullIfNotPresent, namespace); reason != "" {
			t.Errorf("%s: %s", namespace, reason)
		}
	}
	if pulls := n.runtime.Count("PullImage"); pulls != 1 {
		t.Errorf("%d pulls", pulls)
	}
}

// TestPullThatACrashInterrupted ends the process between the pull and its record.
func TestPullThatACrashInterrupted(t *testing.T) {
	g := NewWithT(t)
	n := newNode(t)
	n.secret("a", "key", "right")
	g.Expect(n.puller.records.begin(private)).To(Succeed())
	n.runtime.Have(private)
	n.restart()
	for range 2 { // a failed pull answers nothing
		reason, pulls := n.try(private, corev1.PullIfNotPresent, "b")
		g.Expect(reason).To(Equal(pods.ReasonErrImagePull))
		g.Expect(pulls).To(Equal(1))
	}
	reason, _ := n.try(private, corev1.PullIfNotPresent, "a", "key")
	g.Expect(reason).To(BeEmpty())
	g.Expect(n.puller.records.began(private)).To(BeFalse())
	reason, _ = n.try(private, corev1.PullIfNotPresent, "b")
	g.Expect(reason).To(Equal(pods.ReasonErrImagePull))
}

func TestRecordsFailClosed(t *testing.T) {
	g := NewWithT(t)
	n := newNode(t)
	n.secret("a", "key", "right")
	reason, _ := n.try(private, corev1.PullIfNotPresent, "a", "key")
	g.Expect(reason).To(BeEmpty())
	files, err := filepath.Glob(filepath.Join(n.dir, "pulled", "*"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).To(HaveLen(1))
	g.Expect(os.WriteFile(files[0], []byte("{"), 0o600)).To(Succeed())
	_, pulls := n.try(private, corev1.PullIfNotPresent, "a", "key")
	g.Expect(pulls).To(Equal(1), "an unreadable record")
	_, pulls = n.try(private, corev1.PullIfNotPresent, "a", "key")
	g.Expect(pulls).To(BeZero(), "it was written again")

	n.runtime.Fail("PullImage", errors.New("offline"))
	reason, _ = n.try(preloaded, corev1.PullAlways, "a")
	g.Expect(reason).To(Equal(pods.ReasonErrImagePull))
	reason, _ = n.try(preloaded, corev1.PullNever, "a")
	g.Expect(reason).To(BeEmpty(), "a failed pull changes nothing about a preloaded image")
}

func TestRecordsGoWithTheirImages(t *testing.T) {
	g := NewWithT(t)
	n := newNode(t)
	n.secret("a", "key", "right")
	reason, _ := n.try(private, corev1.PullIfNotPresent, "a", "key")
	g.Expect(reason).To(BeEmpty())
	records := func() []string {
		_, err := n.puller.Candidates(t.Context(), n.runtime, nil, clock.RealClock{}.Now())
		g.Expect(err).NotTo(HaveOccurred())
		files, err := filepath.Glob(filepath.Join(n.dir, "pulled", "*"))
		g.Expect(err).NotTo(HaveOccurred())
		return files
	}
	g.Expect(records()).To(HaveLen(1))
	g.Expect(n.puller.Remove(t.Context(), "sha256:"+private)).To(Succeed())
	g.Expect(records()).To(BeEmpty())
}

// An image that a pod has as a volume is in use, though no container is made of it.
func TestVolumesUseTheirImages(t *testing.T) {
	g := NewWithT(t)
	n := newNode(t)
	candidates, err := n.puller.Candidates(t.Context(), n.runtime, []string{preloaded, private}, clock.RealClock{}.Now())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(candidates).To(HaveLen(1), "the other has not been pulled yet")
	g.Expect(candidates[0].InUse).To(BeTrue())
	candidates, err = n.puller.Candidates(t.Context(), n.runtime, nil, clock.RealClock{}.Now())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(candidates[0].InUse).To(BeFalse())
}
