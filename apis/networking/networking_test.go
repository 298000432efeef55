package networking_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"

	"github.com/coracle-k8s/coracle/apis/networking"
)

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: "default", ResourceVersion: "1"}
}
func clusterMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, ResourceVersion: "1"}
}

// check compares all messages.
func check(t *testing.T, name string, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
	}
}

func service(name string, port int32) networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: name, Port: networkingv1.ServiceBackendPort{Number: port}}}
}

func ingress(host, path string, t networkingv1.PathType, b networkingv1.IngressBackend) *networkingv1.Ingress {
	return &networkingv1.Ingress{ObjectMeta: meta("i"), Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{Host: host,
		IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: path, PathType: &t, Backend: b}}}}}}}}
}

func TestIngress(t *testing.T) {
	const at = "spec.rules[0].http.paths[0]."
	for _, c := range []struct {
		name string
		in   *networkingv1.Ingress
		want []string
	}{
		{"good", ingress("a.b", "/x", networkingv1.PathTypeExact, service("s", 80)), nil},
		{"wildcard", ingress("*.b", "/x", networkingv1.PathTypePrefix, service("1s", 80)), nil},
		{"address", ingress("1.2.3.4", "/", networkingv1.PathTypePrefix, service("s", 80)),
			[]string{`spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address`}},
		{"empty", &networkingv1.Ingress{ObjectMeta: meta("i")}, []string{"spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"}},
		{"relative", ingress("", "x", networkingv1.PathTypePrefix, service("s", 80)), []string{at + `path: Invalid value: "x": must be an absolute path`}},
		{"dots", ingress("", "/a/../b/.", networkingv1.PathTypePrefix, service("s", 80)),
			[]string{at + `path: Invalid value: "/a/../b/.": must not contain '/../'`, at + `path: Invalid value: "/a/../b/.": cannot end with '/.'`}},
		{"type", ingress("", "/", "Other", service("s", 80)),
			[]string{at + `pathType: Unsupported value: "Other": supported values: "Exact", "ImplementationSpecific", "Prefix"`}},
		{"no port", ingress("", "/", networkingv1.PathTypePrefix, service("s", 0)), []string{at + "backend: Required value: port name or number is required"}},
		{"no backend", ingress("", "/", networkingv1.PathTypePrefix, networkingv1.IngressBackend{}), []string{at + `backend: Invalid value: "": resource or service backend is required`}},
	} {
		check(t, c.name, networking.ValidateIngress(c.in), c.want...)
	}
	in := ingress("", "/", networkingv1.PathTypePrefix, service("s", 80))
	in.Annotations, in.Spec.IngressClassName = map[string]string{networking.AnnotationIngressClass: "a"}, ptr.To("b")
	check(t, "two classes", networking.ValidateIngress(in), "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified")
	check(t, "two classes, stored", networking.ValidateIngressUpdate(in, in))
	in = ingress("", "/", networkingv1.PathTypePrefix, service("s", 80))
	in.Spec.TLS = []networkingv1.IngressTLS{{SecretName: "Bad"}}
	check(t, "bad secret, stored", networking.ValidateIngressUpdate(in, in))
	in.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "1.2.3.04"}}
	check(t, "old address", networking.ValidateIngressStatusUpdate(in, in))
	if errs := networking.ValidateIngressStatusUpdate(in, &networkingv1.Ingress{ObjectMeta: in.ObjectMeta}); len(errs) == 0 {
		t.Error("a new address with leading zeros was accepted")
	}
}

func TestIngressClass(t *testing.T) {
	class := func(p *networkingv1.IngressClassParametersReference) *networkingv1.IngressClass {
		c := &networkingv1.IngressClass{ObjectMeta: clusterMeta("c"), Spec: networkingv1.IngressClassSpec{Controller: "example.com/c", Parameters: p}}
		networking.SetDefaultsIngressClass(c)
		return c
	}
	check(t, "good", networking.ValidateIngressClass(class(&networkingv1.IngressClassParametersReference{Kind: "K", Name: "n"})))
	check(t, "namespace", networking.ValidateIngressClass(class(&networkingv1.IngressClassParametersReference{Kind: "K", Name: "n", Namespace: ptr.To("x")})),
		"spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'")
	check(t, "no namespace", networking.ValidateIngressClass(class(&networkingv1.IngressClassParametersReference{Kind: "K", Name: "n", Scope: ptr.To("Namespace")})),
		"spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'")
	other := class(nil)
	other.Spec.Controller = "example.com/other"
	check(t, "controller", networking.ValidateIngressClassUpdate(other, class(nil)), `spec.controller: Invalid value: "example.com/other": field is immutable`)
}

func TestNetworkPolicy(t *testing.T) {
	port := func(p *intstr.IntOrString, end *int32) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{Ports: []networkingv1.NetworkPolicyPort{{Port: p, EndPort: end}}}}}}
	}
	block := func(cidr string, except ...string) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{Egress: []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: cidr, Except: except}}}}}}}
	}
	const at = "spec.ingress[0].ports[0].endPort: Invalid value: "
	for _, c := range []struct {
		name string
		p    *networkingv1.NetworkPolicy
		want []string
	}{
		{"all", &networkingv1.NetworkPolicy{}, nil},
		{"range", port(ptr.To(intstr.FromInt32(80)), ptr.To[int32](90)), nil},
		{"backwards", port(ptr.To(intstr.FromInt32(80)), ptr.To[int32](79)), []string{at + "79: must be greater than or equal to `port`"}},
		{"named range", port(ptr.To(intstr.FromString("http")), ptr.To[int32](79)), []string{at + "79: may not be specified when `port` is non-numeric"}},
		{"end alone", port(nil, ptr.To[int32](79)), []string{at + "79: may not be specified when `port` is not specified"}},
		{"block", block("10.0.0.0/8", "10.1.0.0/16"), nil},
		{"outside", block("10.0.0.0/8", "11.1.0.0/16"), []string{"spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"11.1.0.0/16\": must be a strict subset of `cidr`"}},
		{"no peer", &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{}}}}}},
			[]string{"spec.ingress[0].from[0]: Required value: must specify a peer"}},
		{"type", &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"X"}}},
			[]string{`spec.policyTypes[0]: Unsupported value: "X": supported values: "Ingress", "Egress"`}},
	} {
		c.p.ObjectMeta = meta("p")
		networking.SetDefaultsNetworkPolicy(c.p)
		check(t, c.name, networking.ValidateNetworkPolicy(c.p), c.want...)
	}
	p := block("10.0.0.0/8")
	networking.SetDefaultsNetworkPolicy(p)
	if len(p.Spec.PolicyTypes) != 2 {
		t.Errorf("a policy with egress rules is of types %v", p.Spec.PolicyTypes)
	}
	p = port(ptr.To(intstr.FromInt32(80)), nil)
	networking.SetDefaultsNetworkPolicy(p)
	if got := p.Spec.Ingress[0].Ports[0].Protocol; *got != corev1.ProtocolTCP {
		t.Errorf("the protocol became %v", *got)
	}
}

func TestAddressesAndRanges(t *testing.T) {
	ip := func(name string, ref *networkingv1.ParentReference) *networkingv1.IPAddress {
		return &networkingv1.IPAddress{ObjectMeta: clusterMeta(name), Spec: networkingv1.IPAddressSpec{ParentRef: ref}}
	}
	ref := &networkingv1.ParentReference{Resource: "services", Namespace: "default", Name: "s"}
	check(t, "address", networking.ValidateIPAddress(ip("10.0.0.1", ref)))
	check(t, "v6", networking.ValidateIPAddress(ip("2001:db8::1", ref)))
	check(t, "no parent", networking.ValidateIPAddress(ip("10.0.0.1", nil)), "spec.parentRef: Required value")
	if errs := networking.ValidateIPAddress(ip("2001:DB8::1", ref)); len(errs) != 1 {
		t.Errorf("an address in another form: %v", errs)
	}
	if errs := networking.ValidateIPAddressUpdate(ip("10.0.0.1", &networkingv1.ParentReference{Resource: "services", Name: "t"}), ip("10.0.0.1", ref)); len(errs) != 1 {
		t.Errorf("another parent: %v", errs)
	}
	cidr := func(list ...string) *networkingv1.ServiceCIDR {
		return &networkingv1.ServiceCIDR{ObjectMeta: clusterMeta("c"), Spec: networkingv1.ServiceCIDRSpec{CIDRs: list}}
	}
	check(t, "range", networking.ValidateServiceCIDR(cidr("10.0.0.0/16", "fd00::/112")))
	check(t, "none", networking.ValidateServiceCIDR(cidr()), "spec.cidrs: Required value: at least one CIDR required")
	check(t, "same family", networking.ValidateServiceCIDR(cidr("10.0.0.0/16", "10.1.0.0/16")),
		`spec.cidrs: Invalid value: ["10.0.0.0/16","10.1.0.0/16"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64`)
	check(t, "second family later", networking.ValidateServiceCIDRUpdate(cidr("10.0.0.0/16", "fd00::/112"), cidr("10.0.0.0/16")))
	check(t, "changed", networking.ValidateServiceCIDRUpdate(cidr("10.1.0.0/16"), cidr("10.0.0.0/16")), `spec.cidrs[0]: Invalid value: "10.1.0.0/16": field is immutable`)
	check(t, "shorter", networking.ValidateServiceCIDRUpdate(cidr("10.0.0.0/16"), cidr("10.0.0.0/16", "fd00::/112")), `spec.cidrs: Invalid value: ["10.0.0.0/16"]: field is immutable`)
}

func both[T any](f *randfill.Filler, create func(*T) field.ErrorList, update func(now, old *T) field.ErrorList) {
	a, b := new(T), new(T)
	f.Fill(a)
	f.Fill(b)
	create(a)
	update(a, b)
}

// TestNoPanic validates noise.
func TestNoPanic(t *testing.T) {
	for seed := range int64(200) {
		f := randfill.NewWithSeed(seed).NilChance(0.4).NumElements(0, 3).MaxDepth(12).Funcs(
			func(q *resource.Quantity, c randfill.Continue) {
				*q = *resource.NewMilliQuantity(c.Int63()%5000-1000, resource.DecimalSI)
			},
			func(v *intstr.IntOrString, c randfill.Continue) {
				*v = intstr.IntOrString{Type: intstr.Type(c.Intn(3)), IntVal: c.Int31(), StrVal: c.String(5)}
			},
			func(*metav1.FieldsV1, randfill.Continue) {})
		both(f, networking.ValidateIngress, networking.ValidateIngressUpdate)
		both(f, networking.ValidateIngress, networking.ValidateIngressStatusUpdate)
		both(f, networking.ValidateIngressClass, networking.ValidateIngressClassUpdate)
		both(f, networking.ValidateNetworkPolicy, networking.ValidateNetworkPolicyUpdate)
		both(f, networking.ValidateIPAddress, networking.ValidateIPAddressUpdate)
		both(f, networking.ValidateServiceCIDR, networking.ValidateServiceCIDRUpdate)
	}
}
