package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

var _ = Describe("the API", Ordered, func() {
	var w world
	var c *kubernetes.Clientset
	var web *http.Client

	BeforeAll(func() {
		w = begin()
		config := w.TLSConfig(GinkgoTB())
		config.QPS = -1
		var err error
		web, err = rest.HTTPClientFor(config)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(web.CloseIdleConnections)
		c, err = kubernetes.NewForConfigAndClient(config, web)
		Expect(err).NotTo(HaveOccurred())
	})

	configMap := func(name string, labels map[string]string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: labels}}
	}

	do := func(ctx context.Context, method, path string, header map[string]string, body []byte) (int, string) {
		GinkgoHelper()
		r, err := http.NewRequestWithContext(ctx, method, w.Cluster.URL()+path, bytes.NewReader(body))
		Expect(err).NotTo(HaveOccurred())
		for k, v := range header {
			r.Header.Set(k, v)
		}
		response, err := web.Do(r)
		Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		Expect(err).NotTo(HaveOccurred())
		return response.StatusCode, string(data)
	}

	It("pages through lists", func(ctx SpecContext) {
		label := map[string]string{"page": "x"}
		for i := range 25 {
			_, err := c.CoreV1().ConfigMaps("default").Create(ctx, configMap(fmt.Sprintf("page-%02d", i), label), metav1.CreateOptions{})
			Expect(err).NotTo(HaveOccurred())
		}
		var names []string
		options := metav1.ListOptions{Limit: 10}
		for {
			list, err := c.CoreV1().ConfigMaps("default").List(ctx, options)
			Expect(err).NotTo(HaveOccurred())
			for _, item := range list.Items {
				names = append(names, item.Name)
			}
			if options.Continue = list.Continue; options.Continue == "" {
				break
			}
			Expect(list.Items).To(HaveLen(10))
			Expect(*list.RemainingItemCount).To(BeNumerically(">", 0))
			// A list that began before does not have a later object.
			_, err = c.CoreV1().ConfigMaps("default").Create(ctx, configMap(fmt.Sprintf("zz-%d", len(names)), nil), metav1.CreateOptions{})
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(names).To(HaveLen(26), "25 and kube-root-ca.crt")
		_, err := c.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{Limit: 10, Continue: "bm90IGEgdG9rZW4"})
		Expect(apierrors.IsBadRequest(err)).To(BeTrue(), "%v", err)
	}, SpecTimeout(time.Minute))

	It("resumes watches", func(ctx SpecContext) {
		first, err := c.CoreV1().ConfigMaps("default").Create(ctx, configMap("w1", nil), metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		_, err = c.CoreV1().ConfigMaps("default").Create(ctx, configMap("w2", nil), metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(c.CoreV1().ConfigMaps("default").Delete(ctx, "w1", metav1.DeleteOptions{})).To(Succeed())
		seen := func(version string, n int) []string {
			watcher, err := c.CoreV1().ConfigMaps("default").Watch(ctx, metav1.ListOptions{ResourceVersion: version})
			Expect(err).NotTo(HaveOccurred())
			defer watcher.Stop()
			var events []string
			for range n {
				var e watch.Event
				Eventually(watcher.ResultChan()).Should(Receive(&e), "after %v", events)
				if m, ok := e.Object.(*corev1.ConfigMap); ok {
					events = append(events, string(e.Type)+" "+m.Name)
				} else {
					events = append(events, fmt.Sprintf("%s %v", e.Type, e.Object))
				}
			}
			return events
		}
		Expect(seen(first.ResourceVersion, 2)).To(Equal([]string{"ADDED w2", "DELETED w1"}))
	}, SpecTimeout(time.Minute))

	It("begins a watch with what there is and a bookmark", func(ctx SpecContext) {
		watcher, err := c.CoreV1().Namespaces().Watch(ctx, metav1.ListOptions{AllowWatchBookmarks: true, SendInitialEvents: ptr.To(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
		Expect(err).NotTo(HaveOccurred())
		defer watcher.Stop()
		added := 0
		Eventually(func() string {
			for e := range watcher.ResultChan() {
				ns := e.Object.(*corev1.Namespace)
				if e.Type == watch.Bookmark {
					return ns.Annotations[metav1.InitialEventsAnnotationKey]
				}
				added++
			}
			return "the watch ended"
		}).Should(Equal("true"))
		Expect(added).To(BeNumerically(">=", 4))
	}, SpecTimeout(time.Minute))

	It("selects by fields and labels", func(ctx SpecContext) {
		w.apply(pod("picked"))
		w.ok("wait", "--for=condition=Ready", "pod/picked", "--timeout=20s")
		for selector, n := range map[string]int{
			"metadata.name=picked": 1, "status.phase=Running": 1, "status.phase!=Running": 0, "spec.restartPolicy=Always,metadata.namespace=default": 1,
			"spec.nodeName!=": 1, "spec.serviceAccountName=other": 0,
		} {
			list, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: selector})
			Expect(err).NotTo(HaveOccurred())
			Expect(list.Items).To(HaveLen(n), selector)
		}
		_, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.colour=red"})
		Expect(err).To(MatchError(`field label not supported: spec.colour`))
		list, err := c.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{LabelSelector: "page in (x,y),!other"})
		Expect(err).NotTo(HaveOccurred())
		Expect(list.Items).To(HaveLen(25))
	}, SpecTimeout(time.Minute))

	It("tries without storing", func(ctx SpecContext) {
		created, err := c.CoreV1().ConfigMaps("default").Create(ctx, configMap("dry", nil), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		Expect(err).NotTo(HaveOccurred())
		Expect(created.UID).NotTo(BeEmpty())
		_, err = c.CoreV1().ConfigMaps("default").Get(ctx, "dry", metav1.GetOptions{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
		Expect(c.CoreV1().ConfigMaps("default").Delete(ctx, "w2", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})).To(Succeed())
		_, err = c.CoreV1().ConfigMaps("default").Get(ctx, "w2", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(w.feed(deployment("dry", 1), "apply", "--dry-run=server", "-f", "-")).To(ContainSubstring("created (server dry run)"))
		Expect(w.fails("", "get", "deployment", "dry")).To(ContainSubstring("not found"))
	}, SpecTimeout(time.Minute))

	It("draws names", func(ctx SpecContext) {
		names := map[string]bool{}
		for range 3 {
			created, err := c.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "drawn-"}}, metav1.CreateOptions{})
			Expect(err).NotTo(HaveOccurred())
			Expect(created.Name).To(MatchRegexp(`^drawn-[a-z0-9]{5}$`))
			names[created.Name] = true
		}
		Expect(names).To(HaveLen(3))
	}, SpecTimeout(time.Minute))

	It("holds to finalizers and preconditions", func(ctx SpecContext) {
		held := configMap("held", nil)
		held.Finalizers = []string{"example.test/hold"}
		held, err := c.CoreV1().ConfigMaps("default").Create(ctx, held, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		stale := held.DeepCopy()
		held.Data = map[string]string{"a": "b"}
		held, err = c.CoreV1().ConfigMaps("default").Update(ctx, held, metav1.UpdateOptions{})
		Expect(err).NotTo(HaveOccurred())
		_, err = c.CoreV1().ConfigMaps("default").Update(ctx, stale, metav1.UpdateOptions{})
		Expect(err).To(MatchError(`Operation cannot be fulfilled on configmaps "held": the object has been modified; please apply your changes to the latest version and try again`))
		err = c.CoreV1().ConfigMaps("default").Delete(ctx, "held", metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions("another")})
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "%v", err)
		Expect(c.CoreV1().ConfigMaps("default").Delete(ctx, "held", metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(held.UID))})).To(Succeed())
		held, err = c.CoreV1().ConfigMaps("default").Get(ctx, "held", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(held.DeletionTimestamp).NotTo(BeNil())
		_, err = c.CoreV1().ConfigMaps("default").Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		Expect(err).NotTo(HaveOccurred())
		_, err = c.CoreV1().ConfigMaps("default").Get(ctx, "held", metav1.GetOptions{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
	}, SpecTimeout(time.Minute))

	It("deletes collections", func(ctx SpecContext) {
		Expect(c.CoreV1().ConfigMaps("default").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "page=x"})).To(Succeed())
		list, err := c.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{LabelSelector: "page=x"})
		Expect(err).NotTo(HaveOccurred())
		Expect(list.Items).To(BeEmpty())
	}, SpecTimeout(time.Minute))

	It("refuses what it cannot take or give", func(ctx SpecContext) {
		const path = "/api/v1/namespaces/default/configmaps"
		js := map[string]string{"Content-Type": "application/json"}
		big, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "big"}, "data": map[string]string{"a": strings.Repeat("x", 4<<20)}})
		Expect(err).NotTo(HaveOccurred())
		code, said := do(ctx, "POST", path, js, big)
		Expect(code).To(Equal(413), said)
		Expect(said).To(ContainSubstring("limit is 3145728"))
		code, said = do(ctx, "POST", path, map[string]string{"Content-Type": "text/plain"}, []byte("x"))
		Expect(code).To(Equal(415), said)
		code, said = do(ctx, "PATCH", path+"/w2", map[string]string{"Content-Type": "application/unknown-patch"}, []byte("{}"))
		Expect(code).To(Equal(415), said)
		code, said = do(ctx, "GET", path, map[string]string{"Accept": "image/png"}, nil)
		Expect(code).To(Equal(406), said)
		code, said = do(ctx, "POST", path, js, []byte("{"))
		Expect(code).To(Equal(400), said)
		code, said = do(ctx, "PUT", path, js, []byte("{}"))
		Expect(code).To(Equal(405), said)
		code, said = do(ctx, "POST", "/api/v1/configmaps", js, []byte("{}"))
		Expect(code).To(Equal(405), said)
		code, said = do(ctx, "GET", "/api/v1/configmaps/w2", nil, nil)
		Expect(code).To(Equal(404), said)
		code, said = do(ctx, "GET", "/api/v1/namespaces/default/boats", nil, nil)
		Expect(code).To(Equal(404), said)
		code, said = do(ctx, "POST", path, js, []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}`))
		Expect(code).To(Equal(400), said)
		code, said = do(ctx, "POST", path+"?fieldValidation=Strict", js, []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"1","a":"2"}}`))
		Expect(code).To(Equal(400), said)
		Expect(said).To(ContainSubstring(`duplicate field \"data.a\"`))
	}, SpecTimeout(time.Minute))

	It("answers in the format that is asked for", func(ctx SpecContext) {
		code, said := do(ctx, "GET", "/api/v1/namespaces/default/configmaps/w2", map[string]string{"Accept": "application/yaml"}, nil)
		Expect(code).To(Equal(200))
		Expect(said).To(ContainSubstring("kind: ConfigMap\n"))
		code, said = do(ctx, "GET", "/api/v1/namespaces/default/configmaps/w2", map[string]string{"Accept": "application/vnd.kubernetes.protobuf"}, nil)
		Expect(code).To(Equal(200))
		Expect(said).To(HavePrefix("k8s\x00"))
		code, said = do(ctx, "GET", "/api/v1/namespaces/default/configmaps", map[string]string{"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}, nil)
		Expect(code).To(Equal(200))
		Expect(said).To(And(ContainSubstring(`"kind":"PartialObjectMetadataList"`), Not(ContainSubstring(`"data"`))))
		code, said = do(ctx, "GET", "/api/v1/namespaces/default/configmaps", map[string]string{"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}, nil)
		Expect(code).To(Equal(200))
		Expect(said).To(ContainSubstring(`"columnDefinitions"`))
		code, said = do(ctx, "GET", "/openapi/v3", nil, nil)
		Expect(code).To(Equal(200))
		Expect(said).To(ContainSubstring(`"apis/apps/v1"`))
	}, SpecTimeout(time.Minute))
})
