package apiserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// versions returns the versions of a group, from the list of all groups and from
// the group itself.
func (s *server) versions(t *testing.T, group string) (listed, own []string) {
	t.Helper()
	g := NewWithT(t)
	names := func(of metav1.APIGroup) (all []string) {
		for _, v := range of.Versions {
			all = append(all, v.Version)
		}
		return all
	}
	var groups metav1.APIGroupList
	_, body := s.do(t, http.MethodGet, "/apis", "secret", "")
	g.Expect(json.Unmarshal([]byte(body), &groups)).To(Succeed())
	for _, one := range groups.Groups {
		if one.Name == group {
			listed = names(one)
		}
	}
	var one metav1.APIGroup
	_, body = s.do(t, http.MethodGet, "/apis/"+group, "secret", "")
	g.Expect(json.Unmarshal([]byte(body), &one)).To(Succeed(), body)
	return listed, names(one)
}

// TestGroupBuiltInAndDefined adds a version to a built-in group and takes it away.
func TestGroupBuiltInAndDefined(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	both := func(want ...string) {
		t.Helper()
		g.Eventually(func() []string { listed, _ := s.versions(t, "networking.k8s.io"); return listed }).WithTimeout(20 * time.Second).Should(Equal(want))
		_, own := s.versions(t, "networking.k8s.io")
		g.Expect(own).To(Equal(want))
	}
	both("v1")
	response, body := s.do(t, http.MethodPost, definitions, "secret", `{"metadata":{"name":"rigs.networking.k8s.io","annotations":{"api-approved.kubernetes.io":"unapproved, test"}},
		"spec":{"group":"networking.k8s.io","scope":"Namespaced","names":{"plural":"rigs","kind":"Rig"},
		"versions":[{"name":"v1alpha9","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
	both("v1alpha9", "v1") // upstream gives versions of definitions the higher priority
	response, body = s.do(t, http.MethodGet, "/apis/networking.k8s.io/v1/networkpolicies", "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	response, body = s.do(t, http.MethodGet, "/apis/networking.k8s.io/v1alpha9/rigs", "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	response, body = s.do(t, http.MethodDelete, definitions+"/rigs.networking.k8s.io", "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	both("v1")
}

// TestAPIServiceInPlaceOfABuiltInVersion points a built-in version at a Service,
// which is not there, and back.
func TestAPIServiceInPlaceOfABuiltInVersion(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	const services = "/apis/apiregistration.k8s.io/v1/apiservices"
	jobs := func() int {
		response, _ := s.do(t, http.MethodGet, "/apis/batch/v1/jobs", "secret", "")
		return response.StatusCode
	}
	g.Expect(jobs()).To(Equal(http.StatusOK))
	for _, name := range []string{"v1.batch", "v1.apiregistration.k8s.io"} {
		_, body := s.do(t, http.MethodGet, services+"/v1.batch", "secret", "")
		g.Expect(body).To(ContainSubstring(`"kube-aggregator.kubernetes.io/automanaged":"onstart"`))
		if name != "v1.batch" {
			// The group of APIServices serves itself, whatever is stored.
			response, body := s.do(t, http.MethodPost, services, "secret", fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"group":"apiregistration.k8s.io","version":"v1",
				"groupPriorityMinimum":100,"versionPriority":10,"insecureSkipTLSVerify":true,"service":{"namespace":"default","name":"nobody"}}}`, name))
			g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
			continue
		}
		response, body := s.do(t, http.MethodPatch, services+"/"+name, "secret",
			`{"spec":{"insecureSkipTLSVerify":true,"service":{"namespace":"default","name":"nobody"}}}`, "Content-Type", "application/merge-patch+json")
		g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	}
	g.Eventually(jobs).WithTimeout(20 * time.Second).Should(Equal(http.StatusServiceUnavailable))
	listed, own := s.versions(t, "batch")
	g.Expect(listed).To(Equal([]string{"v1"}))
	g.Expect(own).To(Equal([]string{"v1"}))
	response, body := s.do(t, http.MethodDelete, services+"/v1.batch", "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	g.Eventually(jobs).WithTimeout(20 * time.Second).Should(Equal(http.StatusOK))
	g.Eventually(func() []string { listed, _ := s.versions(t, "batch"); return listed }).WithTimeout(20 * time.Second).Should(Equal([]string{"v1"}))
}
