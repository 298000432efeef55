package controlplane

import (
	"encoding/json"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/test/env"
)

// kubectl's output for every kind; upstream's api/discovery has the same.
var _ = Describe("kubectl and every kind", Ordered, ContinueOnFailure, func() {
	var w world
	var kinds []string // as PLURAL or PLURAL.VERSION.GROUP
	BeforeAll(func() {
		w = begin(env.WithNodes(0))
		for _, line := range strings.Split(strings.TrimSpace(w.ok("api-resources", "--verbs=list", "--no-headers")), "\n") {
			columns := strings.Fields(line)
			gv := columns[len(columns)-3]
			kind := columns[0]
			if group, version, found := strings.Cut(gv, "/"); found {
				kind += "." + version + "." + group
			}
			kinds = append(kinds, kind)
		}
		Expect(len(kinds)).To(BeNumerically(">", 55))
	})

	It("are known by upstream's names, short names, verbs and categories", func() {
		var got []string
		for _, line := range strings.Split(strings.TrimSpace(w.ok("api-resources", "--no-headers", "-o", "wide")), "\n") {
			got = append(got, strings.Join(strings.Fields(line), " "))
		}
		golden, err := os.ReadFile("testdata/api-resources.golden")
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(ConsistOf(strings.Split(strings.TrimSpace(string(golden)), "\n")))
	})

	It("are in groups in upstream's order", func() {
		var groups metav1.APIGroupList
		Expect(json.Unmarshal([]byte(w.ok("get", "--raw", "/apis")), &groups)).To(Succeed())
		var names []string
		for _, g := range groups.Groups {
			names = append(names, g.Name)
		}
		Expect(names).To(Equal([]string{"apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
			"certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io",
			"scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io", "resource.k8s.io", "flowcontrol.apiserver.k8s.io", "storagemigration.k8s.io"}))
		var documents struct{ Paths map[string]any }
		Expect(json.Unmarshal([]byte(w.ok("get", "--raw", "/openapi/v3")), &documents)).To(Succeed())
		for _, g := range groups.Groups {
			for _, v := range g.Versions {
				Expect(documents.Paths).To(HaveKey("apis/" + v.GroupVersion))
			}
		}
	})

	It("are listed and explained", func() {
		w.ok("get", strings.Join(kinds, ","), "-A", "-o", "wide")
		for _, kind := range kinds {
			if !strings.Contains(kind, ".") || strings.Contains(kind, "resource") { // a process each: these are enough
				Expect(w.ok("explain", strings.Split(kind, ".")[0], "--recursive")).To(ContainSubstring("metadata\t<ObjectMeta>"), kind)
			}
		}
	})

	It("are created by what kubectl has for it", func() {
		k := w.namespace("all-made")
		for _, args := range [][]string{
			{"clusterrole", "c", "--verb=get", "--resource=pods"}, {"clusterrolebinding", "c", "--clusterrole=c", "--user=u"}, {"priorityclass", "p", "--value=7"},
			{"ingress", "i", "--rule=a.example/x=s:80"}, {"cronjob", "c", "--image=x", "--schedule=0 0 1 1 *"}, {"job", "j", "--image=x"}, {"job", "k", "--from=cronjob/c"},
			{"service", "loadbalancer", "s", "--tcp=80"}, {"namespace", "made-too"},
		} {
			Expect(k.ok(append([]string{"create"}, args...)...)).To(ContainSubstring("created"), strings.Join(args, " "))
		}
		k.ok("create", "serviceaccount", "sa")
		Expect(strings.Split(k.ok("create", "token", "sa"), ".")).To(HaveLen(3))
		Expect(k.ok("auth", "can-i", "--list")).To(And(MatchRegexp(`(?m)^\*\.\* +\[\] +\[\] +\[\*\]$`), ContainSubstring("selfsubjectaccessreviews.authorization.k8s.io")))
		Expect(k.ok("auth", "can-i", "--list", "--as=system:serviceaccount:all-made:sa")).To(And(ContainSubstring("selfsubjectrulesreviews.authorization.k8s.io"), Not(ContainSubstring("*.*"))))
	})
})
