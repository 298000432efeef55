package apiserver_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

const (
	betaSlice = `{"metadata":{"name":"s"},"spec":{"driver":"d.com","nodeName":"n","pool":{"name":"p","generation":1,"resourceSliceCount":1},
		"devices":[{"name":"gpu","basic":{"attributes":{"model":{"string":"x"}},"capacity":{"memory":{"value":"1Gi"}}}}]}}`
	betaClaim = `{"metadata":{"name":"c"},"spec":{"devices":{"requests":[{"name":"one","deviceClassName":"gpus","allocationMode":"All"},
		{"name":"any","firstAvailable":[{"name":"sub","deviceClassName":"gpus"}]}]}}}`
	claims = "/namespaces/default/resourceclaims"
)

// everything starts a server of all versions that has the namespace default.
func everything(t *testing.T) *server {
	t.Helper()
	s := start(t, enabling(t, map[string]string{"api/all": "true"}))
	response, body := s.do(t, http.MethodPost, "/api/v1/namespaces", "secret", `{"metadata":{"name":"default"}}`)
	NewWithT(t).Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
	return s
}

// TestVersionsShowTheSameObjects creates in one version what is read, changed and
// watched in another.
func TestVersionsShowTheSameObjects(t *testing.T) {
	g := NewWithT(t)
	s := everything(t)
	defer s.Stop()
	must := func(method, path, body string, header ...string) string {
		t.Helper()
		response, answer := s.do(t, method, "/apis/"+path, "secret", body, header...)
		g.Expect(response.StatusCode).To(BeNumerically("<", 300), answer)
		return answer
	}
	const group = "resource.k8s.io/"
	g.Expect(must(http.MethodPost, group+"v1beta1/resourceslices", betaSlice)).To(ContainSubstring(`"basic":{"attributes":{"model"`))
	g.Expect(must(http.MethodGet, group+"v1/resourceslices/s", "")).To(And(ContainSubstring(`"devices":[{"name":"gpu","attributes":{"model"`), ContainSubstring(`"apiVersion":"resource.k8s.io/v1"`)))
	g.Expect(must(http.MethodGet, group+"v1beta2/resourceslices?fieldSelector=spec.driver%3Dd.com", "")).To(And(ContainSubstring(`"nodeName":"n"`), ContainSubstring("ResourceSliceList")))

	must(http.MethodPost, group+"v1beta1"+claims, betaClaim)
	g.Expect(must(http.MethodGet, group+"v1"+claims+"/c", "")).To(And(ContainSubstring(`"exactly":{"deviceClassName":"gpus","allocationMode":"All"}`),
		ContainSubstring(`"firstAvailable":[{"name":"sub","deviceClassName":"gpus","allocationMode":"ExactCount","count":1}]`)))
	seen := must(http.MethodGet, group+"v1beta1"+claims+"?watch=1&timeoutSeconds=1", "")
	g.Expect(seen).To(And(ContainSubstring(`"type":"ADDED"`), ContainSubstring(`"apiVersion":"resource.k8s.io/v1beta1"`), ContainSubstring(`{"name":"one","deviceClassName":"gpus","allocationMode":"All"}`)))

	must(http.MethodPatch, group+"v1"+claims+"/c", `{"metadata":{"labels":{"a":"b"}}}`, "Content-Type", "application/merge-patch+json")
	applied := must(http.MethodPatch, group+"v1beta2"+claims+"/c?fieldManager=m&force=true",
		`{"apiVersion":"resource.k8s.io/v1beta2","kind":"ResourceClaim","metadata":{"name":"c","labels":{"x":"y"}}}`, "Content-Type", "application/apply-patch+yaml")
	var claim struct {
		Metadata struct {
			Labels        map[string]string
			ManagedFields []struct{ Manager, APIVersion string }
		}
	}
	g.Expect(json.Unmarshal([]byte(applied), &claim)).To(Succeed())
	g.Expect(claim.Metadata.Labels).To(Equal(map[string]string{"a": "b", "x": "y"}))
	var managers []string
	for _, m := range claim.Metadata.ManagedFields {
		managers = append(managers, m.APIVersion)
	}
	g.Expect(managers).To(ConsistOf("resource.k8s.io/v1", "resource.k8s.io/v1beta1", "resource.k8s.io/v1beta2"))
	must(http.MethodDelete, group+"v1beta2"+claims+"/c", "")
	response, _ := s.do(t, http.MethodGet, "/apis/"+group+"v1"+claims+"/c", "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusNotFound))
}

// TestDeprecatedKeys asks for a certificate in v1beta1 by a key that v1 has no fields
// for: v1 shows and changes the request without losing it.
func TestDeprecatedKeys(t *testing.T) {
	g := NewWithT(t)
	s := everything(t)
	defer s.Stop()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	der, err := x509.MarshalPKIXPublicKey(public)
	g.Expect(err).NotTo(HaveOccurred())
	key := `"pkixPublicKey":"` + base64.StdEncoding.EncodeToString(der) + `"`
	request := `{"metadata":{"name":"r"},"spec":{"podName":"p","podUID":"pod","serviceAccountName":"sa","serviceAccountUID":"account","nodeName":"n","nodeUID":"node","signerName":"example.com/s",` +
		key + `,"proofOfPossession":"` + base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte("pod"))) + `"}}`
	v1, v1beta1 := "/apis/certificates.k8s.io/v1/namespaces/default/podcertificaterequests", "/apis/certificates.k8s.io/v1beta1/namespaces/default/podcertificaterequests"
	ask := func(code int, method, path, body string) string {
		t.Helper()
		kind := "application/json"
		if method == http.MethodPatch {
			kind = "application/merge-patch+json"
		}
		response, answer := s.do(t, method, path, "secret", body, "Content-Type", kind)
		g.Expect(response.StatusCode).To(Equal(code), answer)
		return answer
	}
	g.Expect(ask(422, http.MethodPost, v1, request)).To(ContainSubstring("exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"))
	g.Expect(ask(201, http.MethodPost, v1beta1, request)).To(And(ContainSubstring(key), ContainSubstring(`"maxExpirationSeconds":86400`)))
	g.Expect(ask(200, http.MethodGet, v1+"/r", "")).NotTo(ContainSubstring(key))
	ask(200, http.MethodPatch, v1beta1+"/r", `{"metadata":{"labels":{"a":"b"}}}`)
	g.Expect(ask(200, http.MethodPatch, v1+"/r/status", `{"status":{"conditions":[{"type":"Denied","status":"True","reason":"No","message":"no","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`)).To(ContainSubstring(`"Denied"`))
	g.Expect(ask(200, http.MethodGet, v1beta1+"/r", "")).To(And(ContainSubstring(key), ContainSubstring(`"Denied"`), ContainSubstring(`"a":"b"`)))
}

// TestKindsOfOptionalVersions creates an object of each kind that has no stable
// version, with upstream's defaults, statuses and refusals.
func TestKindsOfOptionalVersions(t *testing.T) {
	s := everything(t)
	defer s.Stop()
	candidates := "/apis/coordination.k8s.io/v1beta1/namespaces/default/leasecandidates"
	pools, versions := "/apis/resource.k8s.io/v1alpha3/resourcepoolstatusrequests", "/apis/internal.apiserver.k8s.io/v1alpha1/storageversions"
	policies := "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies"
	for _, c := range []struct {
		path, body string
		code       int
		want       string
	}{
		{candidates, `{"metadata":{"name":"a"},"spec":{"leaseName":"l","binaryVersion":"1.37.1","emulationVersion":"1.37.0","strategy":"OldestEmulationVersion"}}`, 201, `"strategy":"OldestEmulationVersion"`},
		{candidates, `{"metadata":{"name":"b"},"spec":{"leaseName":"l","binaryVersion":"1.36.0","emulationVersion":"1.37.0","strategy":"OldestEmulationVersion"}}`, 422,
			"spec.binaryVersion: Invalid value: \\\"1.36.0\\\": must be greater than or equal to `emulationVersion`"},
		{pools, `{"metadata":{"name":"p"},"spec":{"driver":"d.com"},"status":{"poolCount":1}}`, 201, `"spec":{"driver":"d.com","limit":100}}`},
		{pools, `{"metadata":{"name":"q"},"spec":{"driver":"d.com","limit":1001}}`, 422, "spec.limit: Invalid value: 1001: must be less than or equal to 1000"},
		{versions, `{"metadata":{"name":"apps.deployments"}}`, 201, `"name":"apps.deployments"`},
		{versions, `{"metadata":{"name":"deployments"}}`, 422, "name must be in the form of \\u003cgroup\\u003e.\\u003cresource\\u003e"},
		{policies, `{"metadata":{"name":"m"},"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"],"operations":["CREATE"]}]},
			"reinvocationPolicy":"Never","mutations":[{"patchType":"JSONPatch","jsonPatch":{"expression":"[JSONPatch{op: \"add\", path: \"/metadata/labels\", value: {}}]"}}]}}`, 201, `"matchPolicy":"Equivalent"`},
	} {
		response, body := s.do(t, http.MethodPost, c.path, "secret", c.body)
		g := NewWithT(t)
		g.Expect(response.StatusCode).To(Equal(c.code), body)
		g.Expect(body).To(ContainSubstring(c.want))
	}
	g := NewWithT(t)
	_, body := s.do(t, http.MethodGet, strings.Replace(candidates, "v1beta1", "v1alpha2", 1)+"?fieldSelector=spec.leaseName%3Dl", "secret", "")
	g.Expect(body).To(ContainSubstring(`is not a known field selector`))
	_, body = s.do(t, http.MethodGet, strings.Replace(candidates, "v1beta1", "v1alpha2", 1)+"/a", "secret", "")
	g.Expect(body).To(And(ContainSubstring(`"apiVersion":"coordination.k8s.io/v1alpha2"`), ContainSubstring(`"leaseName":"l"`)))
	response, body := s.do(t, http.MethodPatch, pools+"/p/status", "secret", `{"status":{"poolCount":0}}`, "Content-Type", "application/merge-patch+json")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	response, body = s.do(t, http.MethodPatch, pools+"/p/status", "secret", `{"status":{"poolCount":2}}`, "Content-Type", "application/merge-patch+json")
	g.Expect(response.StatusCode).To(Equal(http.StatusUnprocessableEntity), body)
}

// TestDescriptionOfVersions looks for what is served, and only that, in both versions
// of OpenAPI.
func TestDescriptionOfVersions(t *testing.T) {
	for name, c := range map[string]struct {
		config       map[string]string
		has, lacks   []string
		documents    []string
		noDocuments  []string
		definitions  []string
		noDefinition string
	}{
		"the default": {nil, []string{"/apis/apps/v1/namespaces/{namespace}/deployments"}, []string{"/apis/resource.k8s.io/v1beta1/deviceclasses"},
			[]string{"apis/apps/v1"}, []string{"apis/resource.k8s.io/v1beta1", "apis/internal.apiserver.k8s.io"}, nil, "io.k8s.api.resource.v1beta1.BasicDevice"},
		"a version": {map[string]string{"resource.k8s.io/v1beta1": "true"}, []string{"/apis/resource.k8s.io/v1beta1/deviceclasses/{name}"}, []string{"/apis/resource.k8s.io/v1beta2/deviceclasses"},
			[]string{"apis/resource.k8s.io/v1beta1", "apis/resource.k8s.io/v1"}, []string{"apis/resource.k8s.io/v1beta2"},
			[]string{"io.k8s.api.resource.v1beta1.BasicDevice"}, "io.k8s.api.resource.v1beta2.Device"},
		"a resource": {map[string]string{"resource.k8s.io/v1beta1/deviceclasses": "true", "apps/v1/deployments": "false", "policy/v1": "false"},
			[]string{"/apis/resource.k8s.io/v1beta1/deviceclasses", "/apis/apps/v1/namespaces/{namespace}/daemonsets"},
			[]string{"/apis/resource.k8s.io/v1beta1/resourceslices", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "/apis/policy/v1/poddisruptionbudgets"},
			[]string{"apis/resource.k8s.io/v1beta1"}, []string{"apis/policy/v1", "apis/policy"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := start(t, enabling(t, c.config))
			defer s.Stop()
			_, body := s.do(t, http.MethodGet, "/openapi/v2", "secret", "")
			var v2 struct{ Paths, Definitions map[string]json.RawMessage }
			g.Expect(json.Unmarshal([]byte(body), &v2)).To(Succeed())
			for _, path := range c.has {
				g.Expect(v2.Paths).To(HaveKey(path))
			}
			for _, path := range c.lacks {
				g.Expect(v2.Paths).NotTo(HaveKey(path))
			}
			for _, d := range c.definitions {
				g.Expect(v2.Definitions).To(HaveKey(d))
			}
			g.Expect(v2.Definitions).NotTo(HaveKey(c.noDefinition))
			_, body = s.do(t, http.MethodGet, "/openapi/v3", "secret", "")
			var v3 struct {
				Paths map[string]struct{ ServerRelativeURL string }
			}
			g.Expect(json.Unmarshal([]byte(body), &v3)).To(Succeed())
			for _, document := range c.documents {
				g.Expect(v3.Paths).To(HaveKey(document))
				_, body := s.do(t, http.MethodGet, v3.Paths[document].ServerRelativeURL, "secret", "")
				for _, path := range c.lacks {
					g.Expect(body).NotTo(ContainSubstring(`"` + path + `":`))
				}
			}
			for _, document := range c.noDocuments {
				g.Expect(v3.Paths).NotTo(HaveKey(document))
			}
		})
	}
}

// TestWhatIsOffIsOffForClients turns stable resources off. The server's own parts keep
// them: RBAC is asked, and decides.
func TestWhatIsOffIsOffForClients(t *testing.T) {
	g := NewWithT(t)
	s := start(t, enabling(t, map[string]string{"api/all": "false", "resource.k8s.io/v1beta1": "true", "api/beta": "false"}))
	defer s.Stop()
	for path, code := range map[string]int{
		"/apis/rbac.authorization.k8s.io/v1/clusterroles": http.StatusNotFound, "/apis/rbac.authorization.k8s.io/v1": http.StatusNotFound,
		"/api/v1/pods": http.StatusNotFound, "/apis/resource.k8s.io/v1/deviceclasses": http.StatusNotFound,
		"/apis/resource.k8s.io/v1beta1/deviceclasses": http.StatusOK, "/apis/resource.k8s.io/v1beta2/deviceclasses": http.StatusNotFound,
	} {
		response, body := s.do(t, http.MethodGet, path, "secret", "")
		g.Expect(response.StatusCode).To(Equal(code), "%s: %s", path, body)
	}
	response, body := s.do(t, http.MethodPost, "/apis/resource.k8s.io/v1beta1/deviceclasses", "secret", `{"metadata":{"name":"gpus"}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
}
