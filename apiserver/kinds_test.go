package apiserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
)

// TestKindsOverTheWire creates, applies and deletes one object of the kinds that
// have no controller of their own to test them.
func TestKindsOverTheWire(t *testing.T) {
	s := start(t)
	defer s.Stop()
	rule := `"resourceRules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]`
	for _, c := range []struct{ path, kind, spec string }{
		{"admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "ValidatingWebhookConfiguration",
			`"webhooks":[{"name":"a.example.com","sideEffects":"None","admissionReviewVersions":["v1"],"clientConfig":{"url":"https://127.0.0.1:1"},"objectSelector":{"matchLabels":{"none":"such"}}}]`},
		{"admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "MutatingWebhookConfiguration",
			`"webhooks":[{"name":"a.example.com","sideEffects":"None","admissionReviewVersions":["v1"],"clientConfig":{"url":"https://127.0.0.1:1"},"objectSelector":{"matchLabels":{"none":"such"}}}]`},
		{"admissionregistration.k8s.io/v1/validatingadmissionpolicies", "ValidatingAdmissionPolicy", `"spec":{"matchConstraints":{` + rule + `},"validations":[{"expression":"true"}]}`},
		{"admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", `"spec":{"policyName":"none","validationActions":["Deny"]}`},
		{"admissionregistration.k8s.io/v1/mutatingadmissionpolicies", "MutatingAdmissionPolicy",
			`"spec":{"reinvocationPolicy":"Never","matchConstraints":{` + rule + `},"mutations":[{"patchType":"JSONPatch","jsonPatch":{"expression":"[JSONPatch{op: 'remove', path: '/x'}]"}}]}`},
		{"admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", `"spec":{"policyName":"none"}`},
		{"resource.k8s.io/v1/deviceclasses", "DeviceClass", `"spec":{"selectors":[{"cel":{"expression":"device.driver == 'a.com'"}}]}`},
		{"resource.k8s.io/v1/devicetaintrules", "DeviceTaintRule", `"spec":{"taint":{"key":"a","effect":"NoSchedule"}}`},
		{"resource.k8s.io/v1/resourceslices", "ResourceSlice", `"spec":{"driver":"a.com","allNodes":true,"pool":{"name":"p","generation":1,"resourceSliceCount":1}}`},
		{"resource.k8s.io/v1/namespaces/default/resourceclaims", "ResourceClaim", `"spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"c"}}]}}`},
		{"resource.k8s.io/v1/namespaces/default/resourceclaimtemplates", "ResourceClaimTemplate", `"spec":{"spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"c"}}]}}}`},
		{"storagemigration.k8s.io/v1/storageversionmigrations", "StorageVersionMigration", `"spec":{"resource":{"group":"apps","resource":"deployments"}}`},
	} {
		t.Run(c.kind, func(t *testing.T) {
			g := NewWithT(t)
			gv := c.path[:indexAfterVersion(c.path)]
			body := func(labels string) string {
				return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":"a"%s},%s}`, gv, c.kind, labels, c.spec)
			}
			if c.kind == "ResourceClaim" {
				s.do(t, http.MethodPost, "/api/v1/namespaces", "secret", `{"metadata":{"name":"default"}}`)
			}
			response, text := s.do(t, http.MethodPost, "/apis/"+c.path+"?fieldValidation=Strict", "secret", body(""))
			g.Expect(response.StatusCode).To(Equal(http.StatusCreated), text)
			response, text = s.do(t, http.MethodPatch, "/apis/"+c.path+"/a?fieldManager=test&force=true", "secret", body(`,"labels":{"x":"y"}`), "Content-Type", "application/apply-patch+yaml")
			g.Expect(response.StatusCode).To(Equal(http.StatusOK), text)
			response, text = s.do(t, http.MethodGet, "/apis/"+c.path+"/a", "secret", "")
			g.Expect(response.StatusCode).To(Equal(http.StatusOK), text)
			g.Expect(text).To(ContainSubstring(`"x":"y"`))
			response, text = s.do(t, http.MethodDelete, "/apis/"+c.path+"/a", "secret", "")
			g.Expect(response.StatusCode).To(Equal(http.StatusOK), text)
		})
	}
}

func indexAfterVersion(path string) int {
	for i := range path {
		if i > 2 && path[i-3:i] == "/v1" {
			return i
		}
	}
	return len(path)
}

// TestSigningRequestsKnowWhoAsks also shows who may approve and sign.
func TestSigningRequestsKnowWhoAsks(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	request := func(organization string) string {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		g.Expect(err).NotTo(HaveOccurred())
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "me", Organization: []string{organization}}}, key)
		g.Expect(err).NotTo(HaveOccurred())
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	}
	const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	body := func(organization string) string {
		return fmt.Sprintf(`{"metadata":{"name":"r"},"spec":{"signerName":"kubernetes.io/kube-apiserver-client","usages":["client auth"],"username":"root","request":%q}}`, request(organization))
	}
	response, text := s.do(t, http.MethodPost, path, "secret", body("system:masters"))
	g.Expect(response.StatusCode).To(Equal(http.StatusForbidden), text)
	g.Expect(text).To(ContainSubstring("use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"))
	response, text = s.do(t, http.MethodPost, path, "secret", body("people"))
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), text)
	var csr certificatesv1.CertificateSigningRequest
	g.Expect(json.Unmarshal([]byte(text), &csr)).To(Succeed())
	g.Expect(csr.Spec.Username).To(Equal("admin"))

	// bob may change approvals, but not for this signer.
	role := `{"metadata":{"name":"approver"},"rules":[{"apiGroups":["certificates.k8s.io"],"resources":["certificatesigningrequests/approval"],"verbs":["*"]}]}`
	response, text = s.do(t, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/clusterroles", "secret", role)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), text)
	binding := `{"metadata":{"name":"approver"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"approver"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"bob"}]}`
	response, text = s.do(t, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "secret", binding)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), text)
	approval := `{"status":{"conditions":[{"type":"Approved","status":"True","reason":"Fine","message":"m"}]}}`
	patch := func(header ...string) (int, string) {
		response, text := s.do(t, http.MethodPatch, path+"/r/approval", "secret", approval, append([]string{"Content-Type", "application/merge-patch+json"}, header...)...)
		return response.StatusCode, text
	}
	g.Eventually(func() string { _, text := patch("Impersonate-User", "bob"); return text }).WithTimeout(20 * time.Second).Should(ContainSubstring(`user not permitted to approve requests with signerName \"kubernetes.io/kube-apiserver-client\"`))
	status, text := patch()
	g.Expect(status).To(Equal(http.StatusOK), text)
	g.Expect(json.Unmarshal([]byte(text), &csr)).To(Succeed())
	g.Expect(csr.Status.Conditions).To(HaveLen(1))
	g.Expect(csr.Status.Conditions[0].LastUpdateTime.IsZero()).To(BeFalse())
	response, text = s.do(t, http.MethodPatch, path+"/r", "secret", `{"spec":{"usages":["any"]},"status":{"conditions":[]}}`, "Content-Type", "application/merge-patch+json")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), text)
	g.Expect(text).To(And(ContainSubstring(`"client auth"`), ContainSubstring(`"Approved"`)))
}
