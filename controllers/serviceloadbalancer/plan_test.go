package serviceloadbalancer

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func service(change ...func(*corev1.Service)) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "1"}}
	svc.Spec.Type = corev1.ServiceTypeLoadBalancer
	svc.Spec.Ports = []corev1.ServicePort{{Port: 80}}
	for _, c := range change {
		c(svc)
	}
	return svc
}

func finalizer(svc *corev1.Service) { svc.Finalizers = append(svc.Finalizers, Finalizer) }
func clusterIP(svc *corev1.Service) { svc.Spec.Type = corev1.ServiceTypeClusterIP }
func deleted(svc *corev1.Service)   { now := metav1.Unix(1, 0); svc.DeletionTimestamp = &now }
func class(svc *corev1.Service)     { c := "example.com/other"; svc.Spec.LoadBalancerClass = &c }
func renewed(svc *corev1.Service)   { svc.UID = "2" }
func port81(svc *corev1.Service)    { svc.Spec.Ports[0].Port = 81 }

func TestPlan(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	had := func() *memory { return &memory{service: service(), ensured: true, nodes: map[string]string{"n1": ""}} }
	failed := func() *memory { m := had(); m.ensured = false; return m }
	for name, c := range map[string]struct {
		service *corev1.Service
		last    *memory
		stale   bool
		nodes   []*corev1.Node
		want    string
	}{
		"new":                     {service(), nil, false, nil, "ensure 1"},
		"not a load balancer":     {service(clusterIP), nil, false, nil, ""},
		"somebody else's":         {service(class), nil, false, nil, ""},
		"somebody else's, going":  {service(class, finalizer, deleted), nil, false, nil, ""},
		"became somebody else's":  {service(class, finalizer), had(), false, nil, "remove 1"},
		"unchanged":               {service(finalizer), had(), false, []*corev1.Node{node}, ""},
		"failed before":           {service(finalizer), failed(), false, []*corev1.Node{node}, "ensure 1"},
		"other ports":             {service(finalizer, port81), had(), false, []*corev1.Node{node}, "ensure 1"},
		"the balancer's own mind": {service(finalizer), had(), true, []*corev1.Node{node}, "ensure 1"},
		"other nodes":             {service(finalizer), had(), false, nil, "updateHosts 1"},
		"other ports and nodes":   {service(finalizer, port81), had(), false, nil, "ensure 1"},
		"other type":              {service(finalizer, clusterIP), had(), false, nil, "remove 1"},
		"other type, forgotten":   {service(finalizer, clusterIP), nil, false, nil, "remove 1"},
		"deleted":                 {service(finalizer, deleted), had(), false, nil, "remove 1"},
		"deleted, never ensured":  {service(deleted), nil, false, nil, ""},
		"gone":                    {nil, had(), false, nil, "discard 1"},
		"gone, unknown":           {nil, nil, false, nil, ""},
		"another of the name":     {service(renewed), had(), false, nil, "discard 1, ensure 2"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range plan(observed{service: c.service, last: c.last, nodes: c.nodes, stale: c.stale}) {
				got = append(got, fmt.Sprint(map[action]string{ensure: "ensure", updateHosts: "updateHosts", remove: "remove", discard: "discard"}[s.action], " ", s.service.UID))
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

func TestTakesTraffic(t *testing.T) {
	now := metav1.Unix(1, 0)
	label := func(v string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Labels: map[string]string{corev1.LabelNodeExcludeBalancers: v}}
	}
	for name, c := range map[string]struct {
		node corev1.Node
		want bool
	}{
		"plain":                {corev1.Node{}, true},
		"being deleted":        {corev1.Node{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}, false},
		"excluded":             {corev1.Node{ObjectMeta: label("true")}, false},
		"excluded by any word": {corev1.Node{ObjectMeta: label("")}, false},
		"not excluded":         {corev1.Node{ObjectMeta: label("false")}, true},
		"about to go":          {corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: taintToBeDeleted}}}}, false},
	} {
		if got := takesTraffic(&c.node); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
