package apiserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apis/config/features"
	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/apiserver/registry/all"
)

// enabling returns a change of a server's configuration: which versions are on.
func enabling(t *testing.T, runtimeConfig map[string]string) func(*apiserver.Config) {
	t.Helper()
	g := NewWithT(t)
	gates, err := features.New(nil)
	g.Expect(err).NotTo(HaveOccurred())
	resources, err := all.Enabled(runtimeConfig, gates.Enabled)
	g.Expect(err).NotTo(HaveOccurred())
	return func(c *apiserver.Config) { c.Resources = resources }
}

// TestDiscoveryOfUpstream expects kube-apiserver's resources, kinds, verbs, short
// names and categories. Lines of testdata/discovery.txt, recorded from v1.37.1, begin
// with the configurations that serve what they describe: the default, api/beta=true,
// api/alpha=true, api/all=true, and the last with all alpha feature gates on.
func TestDiscoveryOfUpstream(t *testing.T) {
	g := NewWithT(t)
	data, err := os.ReadFile("testdata/discovery.txt")
	g.Expect(err).NotTo(HaveOccurred())
	for mark, config := range map[string]map[string]string{
		"d": nil, "b": {"api/beta": "true"}, "a": {"api/alpha": "true"}, "l": {"api/all": "true"},
	} {
		var want []string
		for line := range strings.Lines(string(data)) {
			if marks, rest, _ := strings.Cut(strings.TrimSpace(line), " "); strings.Contains(marks, mark) {
				want = append(want, rest)
			}
		}
		t.Run(mark, func(t *testing.T) {
			s := start(t, enabling(t, config))
			defer s.Stop()
			g := NewWithT(t)
			got := slices.Concat(s.discovered(t, "/api"), s.discovered(t, "/apis"))
			slices.Sort(got)
			slices.Sort(want)
			g.Expect(got).To(Equal(want))
		})
	}
}

// discovered returns the aggregated discovery below a path, a line for each resource.
func (s *server) discovered(t *testing.T, path string) []string {
	t.Helper()
	g := NewWithT(t)
	response, body := s.do(t, http.MethodGet, path, "secret", "", "Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	var list apidiscoveryv2.APIGroupDiscoveryList
	g.Expect(json.Unmarshal([]byte(body), &list)).To(Succeed())
	var lines []string
	for _, group := range list.Items {
		for _, v := range group.Versions {
			gv := strings.TrimPrefix(group.Name+"/"+v.Version, "/")
			for _, r := range v.Resources {
				line := fmt.Sprintf("%s %s %s %s singular=%s verbs=%s", gv, r.Resource, r.ResponseKind.Kind, r.Scope, r.SingularResource, strings.Join(r.Verbs, ","))
				if len(r.ShortNames) > 0 {
					line += " short=" + strings.Join(r.ShortNames, ",")
				}
				if len(r.Categories) > 0 {
					line += " categories=" + strings.Join(r.Categories, ",")
				}
				lines = append(lines, line)
				for _, sub := range r.Subresources {
					lines = append(lines, fmt.Sprintf("%s %s/%s %s/%s %s verbs=%s", gv, r.Resource, sub.Subresource,
						sub.ResponseKind.Group, sub.ResponseKind.Version, sub.ResponseKind.Kind, strings.Join(sub.Verbs, ",")))
				}
			}
		}
	}
	return lines
}

// TestVersionsInUpstreamsOrder compares the order of versions, which clients prefer
// the first of.
func TestVersionsInUpstreamsOrder(t *testing.T) {
	s := start(t, enabling(t, map[string]string{"api/all": "true"}))
	defer s.Stop()
	g := NewWithT(t)
	_, body := s.do(t, http.MethodGet, "/apis", "secret", "")
	var groups metav1.APIGroupList
	g.Expect(json.Unmarshal([]byte(body), &groups)).To(Succeed())
	got := map[string]string{}
	for _, group := range groups.Groups {
		var versions []string
		for _, v := range group.Versions {
			versions = append(versions, v.Version)
		}
		if len(versions) > 1 {
			got[group.Name] = strings.Join(versions, " ")
		}
	}
	g.Expect(got).To(Equal(map[string]string{
		"autoscaling": "v2 v1", "certificates.k8s.io": "v1 v1beta1", "admissionregistration.k8s.io": "v1 v1beta1 v1alpha1",
		"coordination.k8s.io": "v1 v1beta1 v1alpha2", "resource.k8s.io": "v1 v1beta2 v1beta1 v1alpha3", "storagemigration.k8s.io": "v1 v1beta1",
	}))
	_, body = s.do(t, http.MethodGet, "/apis/apiregistration.k8s.io/v1/apiservices", "secret", "")
	var services struct {
		Items []struct {
			Metadata metav1.ObjectMeta
			Spec     struct{ GroupPriorityMinimum, VersionPriority int }
		}
	}
	g.Expect(json.Unmarshal([]byte(body), &services)).To(Succeed())
	priorities := map[string][2]int{}
	for _, i := range services.Items {
		priorities[i.Metadata.Name] = [2]int{i.Spec.GroupPriorityMinimum, i.Spec.VersionPriority}
	}
	for name, want := range map[string][2]int{
		"v1beta2.resource.k8s.io": {16200, 15}, "v1beta1.resource.k8s.io": {16200, 9}, "v1alpha3.resource.k8s.io": {16200, 1},
		"v1beta1.admissionregistration.k8s.io": {16700, 12}, "v1alpha1.admissionregistration.k8s.io": {16700, 9},
	} {
		g.Expect(priorities).To(HaveKeyWithValue(name, want))
	}
}
