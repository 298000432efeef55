package controlplane

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
)

// answer is the response to a request.
type answer struct {
	code     int
	body     string
	warnings []string
	header   http.Header
}

func (a answer) object() map[string]any {
	GinkgoHelper()
	var o map[string]any
	Expect(json.Unmarshal([]byte(a.body), &o)).To(Succeed(), a.body)
	return o
}

// at walks into an object; numbers are list indexes.
func at(o any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := o.(map[string]any)
			o = m[s]
		case int:
			l, _ := o.([]any)
			if s >= len(l) {
				return nil
			}
			o = l[s]
		}
	}
	return o
}

var _ = Describe("the API's semantics", Ordered, ContinueOnFailure, func() {
	var w world
	var web *http.Client

	BeforeAll(func() {
		w = begin()
		config := w.TLSConfig(GinkgoTB())
		config.QPS = -1
		var err error
		web, err = rest.HTTPClientFor(config)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(web.CloseIdleConnections)
		w.namespace("sem")
	})

	open := func(ctx context.Context, method, path, contentType, accept, body string) *http.Response {
		GinkgoHelper()
		r, err := http.NewRequestWithContext(ctx, method, w.Cluster.URL()+path, strings.NewReader(body))
		Expect(err).NotTo(HaveOccurred())
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		response, err := web.Do(r)
		Expect(err).NotTo(HaveOccurred())
		return response
	}
	send := func(ctx context.Context, method, path, contentType, accept, body string) answer {
		GinkgoHelper()
		response := open(ctx, method, path, contentType, accept, body)
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		Expect(err).NotTo(HaveOccurred())
		return answer{response.StatusCode, string(data), response.Header.Values("Warning"), response.Header}
	}
	const (
		js, yaml     = "application/json", "application/yaml"
		apply        = "application/apply-patch+yaml"
		merge        = "application/merge-patch+json"
		strategic    = "application/strategic-merge-patch+json"
		jsonPatch    = "application/json-patch+json"
		configMaps   = "/api/v1/namespaces/sem/configmaps"
		services     = "/api/v1/namespaces/sem/services"
		deployments  = "/apis/apps/v1/namespaces/sem/deployments"
		configMapFmt = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"a":"1"}}`
	)
	ok := func(ctx context.Context, method, path, contentType, body string) map[string]any {
		GinkgoHelper()
		a := send(ctx, method, path, contentType, js, body)
		Expect(a.code).To(BeElementOf(200, 201), a.body)
		return a.object()
	}
	managers := func(o map[string]any) []string {
		var names []string
		list, _ := at(o, "metadata", "managedFields").([]any)
		for _, m := range list {
			names = append(names, fmt.Sprintf("%v %v %v", at(m, "manager"), at(m, "operation"), at(m, "subresource")))
		}
		return names
	}

	It("applies with owners of fields, on objects, status and scale", func(ctx SpecContext) {
		manifest := deployment("owned", 2)
		a := send(ctx, "PATCH", deployments+"/owned", apply, js, manifest)
		Expect(a.code).To(Equal(422), a.body)
		Expect(a.body).To(ContainSubstring("fieldManager: Required value: is required for apply patch"))
		a = send(ctx, "PATCH", deployments+"/owned?fieldManager=one", apply, js, manifest)
		Expect(a.code).To(Equal(201), a.body)
		Expect(managers(a.object())).To(Equal([]string{"one Apply <nil>"}))

		By("conflicts, by owner and field")
		a = send(ctx, "PATCH", deployments+"/owned?fieldManager=two", apply, js, `{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":3}}`)
		Expect(a.code).To(Equal(409), a.body)
		Expect(at(a.object(), "message")).To(Equal(`Apply failed with 1 conflict: conflict with "one": .spec.replicas`))
		Expect(at(a.object(), "details", "causes", 0, "field")).To(Equal(".spec.replicas"))
		a = send(ctx, "PATCH", deployments+"/owned?fieldManager=two&force=true", apply, js, `{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":3}}`)
		Expect(a.code).To(Equal(200), a.body)
		Expect(managers(a.object())).To(ContainElements("one Apply <nil>", "two Apply <nil>"))

		By("the owner through scale is the one of replicas")
		a = send(ctx, "PATCH", deployments+"/owned/scale?fieldManager=three", apply, js, `{"apiVersion":"autoscaling/v1","kind":"Scale","spec":{"replicas":4}}`)
		Expect(a.code).To(Equal(409), a.body)
		Expect(a.body).To(ContainSubstring(`conflict with \"two\": .spec.replicas`))
		a = send(ctx, "PATCH", deployments+"/owned/scale?fieldManager=three&force=true", apply, js, `{"apiVersion":"autoscaling/v1","kind":"Scale","spec":{"replicas":4}}`)
		Expect(a.code).To(Equal(200), a.body)
		Expect(managers(ok(ctx, "GET", deployments+"/owned", "", ""))).To(ContainElement("three Apply scale"))

		By("status")
		a = send(ctx, "PATCH", deployments+"/owned/status?fieldManager=four&force=true", apply, js,
			`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":9},"status":{"collisionCount":7}}`)
		Expect(a.code).To(Equal(200), a.body)
		Expect(at(a.object(), "spec", "replicas")).To(BeEquivalentTo(4))
		Expect(managers(a.object())).To(ContainElement("four Apply status"))

		By("what an applier leaves out goes")
		ok(ctx, "PATCH", configMaps+"/left?fieldManager=one", apply, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"left"},"data":{"a":"1","b":"2"}}`)
		o := ok(ctx, "PATCH", configMaps+"/left?fieldManager=one", apply, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"left"},"data":{"a":"1"}}`)
		Expect(at(o, "data")).To(Equal(map[string]any{"a": "1"}))
		a = send(ctx, "PATCH", configMaps+"/left?fieldManager=one", apply, js, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"left","managedFields":[{}]}}`)
		Expect(a.code).To(Equal(400), a.body)
		a = send(ctx, "PATCH", configMaps+"/left?fieldManager="+strings.Repeat("x", 129), apply, js, `{"apiVersion":"v1","kind":"ConfigMap"}`)
		Expect(a.code).To(Equal(422), a.body)
		a = send(ctx, "PATCH", configMaps+"/left?force=true", merge, js, `{}`)
		Expect(a.code).To(Equal(422), a.body)
	}, SpecTimeout(time.Minute))

	It("patches in four ways", func(ctx SpecContext) {
		ok(ctx, "POST", deployments, yaml, deployment("patched", 1))
		o := ok(ctx, "PATCH", deployments+"/patched", strategic, `{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}`)
		Expect(at(o, "spec", "template", "spec", "containers")).To(HaveLen(2))
		o = ok(ctx, "PATCH", deployments+"/patched", strategic, `{"spec":{"template":{"spec":{"containers":[{"$patch":"delete","name":"side"}]}}}}`)
		Expect(at(o, "spec", "template", "spec", "containers")).To(HaveLen(1))
		o = ok(ctx, "PATCH", deployments+"/patched", merge, `{"metadata":{"labels":{"app":null,"x":"y"}}}`)
		Expect(at(o, "metadata", "labels")).To(Equal(map[string]any{"x": "y"}))
		o = ok(ctx, "PATCH", deployments+"/patched", jsonPatch, `[{"op":"test","path":"/metadata/labels/x","value":"y"},{"op":"remove","path":"/metadata/labels/x"}]`)
		Expect(at(o, "metadata", "labels")).To(BeNil())
		a := send(ctx, "PATCH", deployments+"/patched", jsonPatch, js, `[{"op":"test","path":"/metadata/name","value":"z"}]`)
		Expect(a.code).To(Equal(422), a.body)
		many := strings.TrimSuffix(strings.Repeat(`{"op":"test","path":"/metadata/name","value":"patched"},`, 10001), ",")
		a = send(ctx, "PATCH", deployments+"/patched", jsonPatch, js, "["+many+"]")
		Expect(a.code).To(Equal(413), a.body)
		Expect(a.body).To(ContainSubstring("The allowed maximum operations in a JSON patch is 10000, got 10001"))
		a = send(ctx, "PATCH", deployments+"/patched", merge, js, `{"metadata":{"resourceVersion":"1","labels":{"q":"r"}}}`)
		Expect(a.code).To(Equal(409), a.body)
		a = send(ctx, "PATCH", deployments+"/patched", merge, js, `{"metadata":{"name":"other"}}`)
		Expect(a.code).To(Equal(400), a.body)
		a = send(ctx, "PATCH", deployments+"/none", merge, js, `{}`)
		Expect(a.code).To(Equal(404), a.body)
		o = ok(ctx, "PATCH", deployments+"/patched/scale", merge, `{"spec":{"replicas":0}}`)
		Expect(at(o, "kind")).To(Equal("Scale"))
		o = ok(ctx, "PATCH", deployments+"/patched/status", strategic, `{"status":{"collisionCount":3}}`)
		Expect(at(o, "status", "collisionCount")).To(BeEquivalentTo(3))
	}, SpecTimeout(time.Minute))

	It("checks fields as strictly as it is asked to", func(ctx SpecContext) {
		wrong := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s"},"data":{"a":"1","a":"2"},"boat":1}`
		const warned = `299 - "unknown field \"boat\""`
		a := send(ctx, "POST", configMaps, js, js, fmt.Sprintf(wrong, "warned"))
		Expect(a.code).To(Equal(201), a.body)
		Expect(a.warnings).To(ConsistOf(warned, `299 - "duplicate field \"data.a\""`))
		a = send(ctx, "POST", configMaps+"?fieldValidation=Ignore", js, js, fmt.Sprintf(wrong, "ignored"))
		Expect(a.code).To(Equal(201), a.body)
		Expect(a.warnings).To(BeEmpty())
		a = send(ctx, "POST", configMaps+"?fieldValidation=Strict", js, js, fmt.Sprintf(wrong, "strict"))
		Expect(a.code).To(Equal(400), a.body)
		Expect(at(a.object(), "message")).To(ContainSubstring(`strict decoding error: duplicate field "data.a", unknown field "boat"`))
		a = send(ctx, "POST", configMaps+"?fieldValidation=Maybe", js, js, fmt.Sprintf(wrong, "maybe"))
		Expect(a.code).To(Equal(422), a.body)

		wrongYAML := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\nboat: 1\ndata: {a: x}\ndata: {b: z}\n"
		a = send(ctx, "POST", configMaps+"?fieldValidation=Strict", yaml, js, wrongYAML)
		Expect(a.code).To(Equal(400), a.body)
		Expect(at(a.object(), "message")).To(And(ContainSubstring(`key "data" already set in map`), ContainSubstring(`unknown field "boat"`)))
		a = send(ctx, "PUT", configMaps+"/warned?fieldValidation=Warn", js, js, fmt.Sprintf(wrong, "warned"))
		Expect(a.warnings).To(ContainElement(warned))
		for _, kind := range []string{merge, strategic} {
			a = send(ctx, "PATCH", configMaps+"/warned?fieldValidation=Strict", kind, js, `{"boat":1}`)
			Expect(a.code).To(Equal(422), a.body)
			Expect(at(a.object(), "message")).To(ContainSubstring(`strict decoding error: unknown field "boat"`), kind)
			a = send(ctx, "PATCH", configMaps+"/warned", kind, js, `{"boat":1}`)
			Expect(a.code).To(Equal(200), a.body)
			Expect(a.warnings).To(ConsistOf(warned))
		}
		a = send(ctx, "PATCH", configMaps+"/warned?fieldValidation=Strict", jsonPatch, js, `[{"op":"add","path":"/boat","value":1}]`)
		Expect(a.code).To(Equal(422), a.body)
		a = send(ctx, "PATCH", configMaps+"/warned?fieldValidation=Strict&fieldManager=m", apply, js, "apiVersion: v1\nkind: ConfigMap\nboat: 1\n")
		Expect(a.code).To(BeElementOf(400, 500), a.body)
	}, SpecTimeout(time.Minute))

	It("tries without effects", func(ctx SpecContext) {
		service := `{"apiVersion":"v1","kind":"Service","metadata":{"name":"try"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30123}]}}`
		o := ok(ctx, "POST", services+"?dryRun=All", js, service)
		Expect(at(o, "spec", "clusterIP")).NotTo(BeNil())
		Expect(send(ctx, "GET", services+"/try", "", js, "").code).To(Equal(404))
		By("the port is still free")
		ok(ctx, "POST", services+"?dryRun=All", js, service)
		ok(ctx, "POST", services, js, service)
		a := send(ctx, "POST", services+"?dryRun=Some", js, js, service)
		Expect(a.code).To(Equal(422), a.body)

		By("quotas are not charged")
		ok(ctx, "POST", "/api/v1/namespaces/sem/resourcequotas", js, `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"secrets"},"spec":{"hard":{"secrets":"1"}}}`)
		used := func() any {
			return at(ok(ctx, "GET", "/api/v1/namespaces/sem/resourcequotas/secrets", "", ""), "status", "used", "secrets")
		}
		Eventually(used).Should(Equal("0"))
		secret := `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"%s"}}`
		for range 3 {
			ok(ctx, "POST", "/api/v1/namespaces/sem/secrets?dryRun=All", js, fmt.Sprintf(secret, "try"))
		}
		Expect(used()).To(Equal("0"))
		ok(ctx, "POST", "/api/v1/namespaces/sem/secrets", js, fmt.Sprintf(secret, "one"))
		a = send(ctx, "POST", "/api/v1/namespaces/sem/secrets?dryRun=All", js, js, fmt.Sprintf(secret, "two"))
		Expect(a.code).To(Equal(403), a.body)
		Expect(a.body).To(ContainSubstring("exceeded quota: secrets, requested: secrets=1, used: secrets=1, limited: secrets=1"))

		By("nothing is deleted, scaled or patched")
		ok(ctx, "DELETE", services+"/try?dryRun=All", "", "")
		ok(ctx, "DELETE", services+"?dryRun=All", "", "")
		ok(ctx, "PATCH", services+"/try?dryRun=All", merge, `{"metadata":{"labels":{"a":"b"}}}`)
		o = ok(ctx, "GET", services+"/try", "", "")
		Expect(at(o, "metadata", "labels")).To(BeNil())
		ok(ctx, "POST", deployments, yaml, deployment("tried", 1))
		ok(ctx, "PATCH", deployments+"/tried/scale?dryRun=All", merge, `{"spec":{"replicas":5}}`)
		Expect(at(ok(ctx, "GET", deployments+"/tried", "", ""), "spec", "replicas")).To(BeEquivalentTo(1))
	}, SpecTimeout(time.Minute))

	It("reads at versions", func(ctx SpecContext) {
		first := ok(ctx, "POST", configMaps, js, fmt.Sprintf(configMapFmt, "v1"))
		version := at(first, "metadata", "resourceVersion").(string)
		ok(ctx, "PATCH", configMaps+"/v1", merge, `{"data":{"a":"2"}}`)
		get := func(query string) answer { return send(ctx, "GET", configMaps+query, "", js, "") }
		for query, code := range map[string]int{
			"?resourceVersion=0": 200, "?resourceVersion=" + version: 200,
			"?resourceVersion=" + version + "&resourceVersionMatch=NotOlderThan": 200,
			"?resourceVersion=" + version + "&resourceVersionMatch=Exact":        200,
			"?resourceVersion=0&resourceVersionMatch=Exact":                      422,
			"?resourceVersionMatch=Exact":                                        422,
			"?resourceVersion=0&resourceVersionMatch=NotOlderThan":               200,
			"?resourceVersion=" + version + "&resourceVersionMatch=Newest":       422,
			"?resourceVersion=boat":                                              400,
			"?resourceVersion=99999999":                                          504,
			"?continue=boat":                                                     400,
			"?limit=1&continue=boat&resourceVersion=1":                           400,
			"?fieldSelector=spec.boat%3D1":                                       400,
			"?labelSelector=a%3D%3D%3Db":                                         400,
			"?sendInitialEvents=true":                                            422,
			"?watch=true&sendInitialEvents=true":                                 422,
			"/v1?resourceVersion=99999999":                                       504,
			"/v1?resourceVersion=0":                                              200,
		} {
			a := get(query)
			Expect(a.code).To(Equal(code), "%s: %s", query, a.body)
		}
		exact := get("?resourceVersion=" + version + "&resourceVersionMatch=Exact&fieldSelector=metadata.name%3Dv1").object()
		Expect(at(exact, "items", 0, "data", "a")).To(Equal("1"))
		Expect(at(exact, "metadata", "resourceVersion")).To(Equal(version))
	}, SpecTimeout(time.Minute))

	watched := func(ctx context.Context, query string, until func(kind string, o map[string]any) bool) []string {
		GinkgoHelper()
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		response := open(ctx, "GET", query, "", js, "")
		defer response.Body.Close()
		Expect(response.StatusCode).To(Equal(200))
		var kinds []string
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			var event struct {
				Type   string
				Object map[string]any
			}
			Expect(json.Unmarshal(lines.Bytes(), &event)).To(Succeed())
			kinds = append(kinds, event.Type)
			if until(event.Type, event.Object) {
				return kinds
			}
		}
		return kinds
	}

	It("watches from versions, also by the paths of old", func(ctx SpecContext) {
		first := ok(ctx, "POST", configMaps, js, fmt.Sprintf(configMapFmt, "seen"))
		version := at(first, "metadata", "resourceVersion").(string)
		ok(ctx, "PATCH", configMaps+"/seen", merge, `{"data":{"a":"2"}}`)
		ok(ctx, "DELETE", configMaps+"/seen", "", "")
		gone := func(kind string, _ map[string]any) bool { return kind == "DELETED" }
		only := "&fieldSelector=metadata.name%3Dseen"
		Expect(watched(ctx, configMaps+"?watch=true&resourceVersion="+version+only, gone)).To(Equal([]string{"MODIFIED", "DELETED"}))
		Expect(watched(ctx, "/api/v1/watch/namespaces/sem/configmaps?resourceVersion="+version+only, gone)).To(Equal([]string{"MODIFIED", "DELETED"}))
		Expect(watched(ctx, "/api/v1/watch/namespaces/sem/configmaps/seen?resourceVersion="+version, gone)).To(Equal([]string{"MODIFIED", "DELETED"}))
		Expect(watched(ctx, "/api/v1/watch/configmaps?resourceVersion="+version+only, gone)).To(Equal([]string{"MODIFIED", "DELETED"}))
		initial := func(kind string, o map[string]any) bool {
			return kind == "BOOKMARK" && at(o, "metadata", "annotations", "k8s.io/initial-events-end") == "true"
		}
		Expect(watched(ctx, configMaps+"?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dkube-root-ca.crt", initial)).
			To(Equal([]string{"ADDED", "BOOKMARK"}))
		By("what is too old is gone")
		var said map[string]any
		Expect(watched(ctx, configMaps+"?watch=true&resourceVersion=1", func(_ string, o map[string]any) bool { said = o; return true })).To(Equal([]string{"ERROR"}))
		Expect(said).To(And(HaveKeyWithValue("code", BeEquivalentTo(410)), HaveKeyWithValue("reason", "Expired")))
		By("tables and metadata come in events, too")
		response := open(ctx, "GET", configMaps+"?watch=true&timeoutSeconds=1", "", "application/json;as=Table;v=v1;g=meta.k8s.io", "")
		defer response.Body.Close()
		line, err := bufio.NewReader(response.Body).ReadString('\n')
		Expect(err).NotTo(HaveOccurred())
		Expect(line).To(ContainSubstring(`"kind":"Table"`))
	}, SpecTimeout(time.Minute))

	It("deletes with preconditions, grace and propagation", func(ctx SpecContext) {
		o := ok(ctx, "POST", configMaps, js, fmt.Sprintf(configMapFmt, "guarded"))
		remove := func(options string) answer {
			return send(ctx, "DELETE", configMaps+"/guarded", js, js, `{"apiVersion":"v1","kind":"DeleteOptions",`+options+`}`)
		}
		a := remove(`"preconditions":{"uid":"nobody"}`)
		Expect(a.code).To(Equal(409), a.body)
		Expect(a.body).To(ContainSubstring("the UID in the precondition (nobody) does not match the UID in record"))
		a = remove(`"preconditions":{"resourceVersion":"1"}`)
		Expect(a.code).To(Equal(409), a.body)
		Expect(remove(`"propagationPolicy":"Sideways"`).code).To(Equal(422))
		Expect(remove(`"propagationPolicy":"Orphan","orphanDependents":true`).code).To(Equal(422))
		Expect(remove(`"gracePeriodSeconds":-5`).code).To(BeElementOf(200, 422))
		if send(ctx, "GET", configMaps+"/guarded", "", js, "").code == 404 {
			o = ok(ctx, "POST", configMaps, js, fmt.Sprintf(configMapFmt, "guarded"))
		}
		a = remove(fmt.Sprintf(`"propagationPolicy":"Foreground","preconditions":{"uid":%q,"resourceVersion":%q}`, at(o, "metadata", "uid"), at(o, "metadata", "resourceVersion")))
		Expect(a.code).To(Equal(200), a.body)

		By("a collection by label")
		for _, n := range []string{"c1", "c2", "c3"} {
			ok(ctx, "POST", configMaps, js, fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":{"n":%q}}}`, n, n))
		}
		o = ok(ctx, "DELETE", configMaps+"?labelSelector="+url.QueryEscape("n in (c1,c2)"), "", "")
		Expect(at(o, "kind")).To(Equal("ConfigMapList"))
		Expect(at(o, "items")).To(HaveLen(2))
		Expect(send(ctx, "GET", configMaps+"/c3", "", js, "").code).To(Equal(200))
		a = send(ctx, "DELETE", configMaps+"/nobody", "", js, "")
		Expect(a.code).To(Equal(404), a.body)
	}, SpecTimeout(time.Minute))

	It("creates on update where that is the rule, and nowhere else", func(ctx SpecContext) {
		a := send(ctx, "PUT", configMaps+"/new", js, js, fmt.Sprintf(configMapFmt, "new"))
		Expect(a.code).To(Equal(404), a.body)
		lease := `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"new"},"spec":{}}`
		a = send(ctx, "PUT", "/apis/coordination.k8s.io/v1/namespaces/sem/leases/new", js, js, lease)
		Expect(a.code).To(Equal(201), a.body)
		a = send(ctx, "PUT", configMaps+"/left", js, js, fmt.Sprintf(configMapFmt, "right"))
		Expect(a.code).To(Equal(400), a.body)
		Expect(a.body).To(ContainSubstring("the name of the object (right) does not match the name on the URL (left)"))
		a = send(ctx, "POST", configMaps, js, js, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"other"}}`)
		Expect(a.code).To(Equal(400), a.body)
		Expect(a.body).To(ContainSubstring("the namespace of the provided object does not match the namespace sent on the request"))
		a = send(ctx, "POST", configMaps, js, js, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}`)
		Expect(a.code).To(Equal(422), a.body)
		Expect(a.body).To(ContainSubstring("name or generateName is required"))
		a = send(ctx, "POST", configMaps, js, js, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","resourceVersion":"5"}}`)
		Expect(a.code).To(Equal(400), a.body) // upstream answers 500 for this mistake of the client
		Expect(a.body).To(ContainSubstring("resourceVersion should not be set on objects to be created"))
	}, SpecTimeout(time.Minute))

	It("speaks all formats", func(ctx SpecContext) {
		for accept, want := range map[string]string{
			"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io, application/json":  `"kind":"PartialObjectMetadata"`,
			"application/json;as=Table;v=v1;g=meta.k8s.io":                                    `"kind":"Table"`,
			"application/cbor, application/json":                                              "{",
			"application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io": "k8s\x00",
			"text/html, */*": `"kind":"ConfigMap"`,
		} {
			a := send(ctx, "GET", configMaps+"/kube-root-ca.crt", "", accept, "")
			Expect(a.code).To(Equal(200), accept)
			Expect(a.body).To(ContainSubstring(want), accept)
		}
		Expect(send(ctx, "GET", configMaps+"/kube-root-ca.crt", "", "application/json;as=Table;v=v9;g=meta.k8s.io", "").code).To(Equal(406))
		By("compressing what is large")
		ok(ctx, "POST", configMaps, js, fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"large"},"data":{"a":%q}}`, strings.Repeat("x", 200<<10)))
		r, err := http.NewRequestWithContext(ctx, "GET", w.Cluster.URL()+configMaps+"/large", nil)
		Expect(err).NotTo(HaveOccurred())
		r.Header.Set("Accept-Encoding", "gzip")
		response, err := web.Do(r)
		Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		Expect(response.Header.Get("Content-Encoding")).To(Equal("gzip"))
		packed, err := io.ReadAll(response.Body)
		Expect(err).NotTo(HaveOccurred())
		Expect(len(packed)).To(BeNumerically("<", 10<<10))
		plain, err := gzip.NewReader(bytes.NewReader(packed))
		Expect(err).NotTo(HaveOccurred())
		Expect(io.ReadAll(plain)).To(ContainSubstring(`"name":"large"`))
	}, SpecTimeout(time.Minute))
})
