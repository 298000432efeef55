package apiserver_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
)

// TestFairnessStartsWhenWanted sends requests as an administrator, who is exempt, then
// for the objects themselves, and last as a user whose flow schema the test made.
func TestFairnessStartsWhenWanted(t *testing.T) {
	g := NewWithT(t)
	ignore := goleak.IgnoreCurrent()
	s := start(t)
	const schemas = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
	const levels = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"

	response, _ := s.do(t, http.MethodGet, "/api/v1/namespaces", "secret", "")
	g.Expect(response.Header).NotTo(HaveKey("X-Kubernetes-Pf-Flowschema-Uid"))
	response, body := s.do(t, http.MethodGet, schemas, "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	var list flowcontrolv1.FlowSchemaList
	g.Expect(json.Unmarshal([]byte(body), &list)).To(Succeed())
	g.Expect(len(list.Items)).To(BeNumerically(">=", 11))

	response, body = s.do(t, http.MethodPost, levels, "secret", `{"metadata":{"name":"mine"},"spec":{"type":"Limited","limited":{"limitResponse":{"type":"Reject"}}}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
	response, body = s.do(t, http.MethodPost, schemas, "secret", `{"metadata":{"name":"mine"},"spec":{"matchingPrecedence":2,"priorityLevelConfiguration":{"name":"mine"},
		"rules":[{"subjects":[{"kind":"User","user":{"name":"noxu"}}],"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["*"]}]}]}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
	var mine flowcontrolv1.FlowSchema
	g.Expect(json.Unmarshal([]byte(body), &mine)).To(Succeed())
	g.Eventually(func() string {
		response, _ := s.do(t, http.MethodGet, "/version", "secret", "", "Impersonate-User", "noxu")
		return response.Header.Get("X-Kubernetes-Pf-Flowschema-Uid")
	}).WithTimeout(5 * time.Second).Should(Equal(string(mine.UID)))

	// The objects that every server has are restored.
	response, body = s.do(t, http.MethodDelete, schemas+"/catch-all", "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	g.Eventually(func() int {
		response, _ := s.do(t, http.MethodGet, schemas+"/catch-all", "secret", "")
		return response.StatusCode
	}).WithTimeout(5 * time.Second).Should(Equal(http.StatusOK))
	s.Stop()
	goleak.VerifyNone(t, ignore)
}
