package networking

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

func addDefaults(s *runtime.Scheme) {
	s.AddTypeDefaultingFunc(&networkingv1.NetworkPolicy{}, func(obj any) { SetDefaultsNetworkPolicy(obj.(*networkingv1.NetworkPolicy)) })
	s.AddTypeDefaultingFunc(&networkingv1.NetworkPolicyList{}, func(obj any) {
		list := obj.(*networkingv1.NetworkPolicyList)
		for i := range list.Items {
			SetDefaultsNetworkPolicy(&list.Items[i])
		}
	})
	s.AddTypeDefaultingFunc(&networkingv1.IngressClass{}, func(obj any) { SetDefaultsIngressClass(obj.(*networkingv1.IngressClass)) })
	s.AddTypeDefaultingFunc(&networkingv1.IngressClassList{}, func(obj any) {
		list := obj.(*networkingv1.IngressClassList)
		for i := range list.Items {
			SetDefaultsIngressClass(&list.Items[i])
		}
	})
}

// SetDefaultsNetworkPolicy makes a policy one of ingress, and of egress if it
// has such rules, and its ports TCP.
func SetDefaultsNetworkPolicy(p *networkingv1.NetworkPolicy) {
	if len(p.Spec.PolicyTypes) == 0 {
		p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(p.Spec.Egress) != 0 {
			p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
	ports := func(list []networkingv1.NetworkPolicyPort) {
		for i := range list {
			if list[i].Protocol == nil {
				list[i].Protocol = ptr.To(corev1.ProtocolTCP)
			}
		}
	}
	for i := range p.Spec.Ingress {
		ports(p.Spec.Ingress[i].Ports)
	}
	for i := range p.Spec.Egress {
		ports(p.Spec.Egress[i].Ports)
	}
}

// SetDefaultsIngressClass looks for parameters in the cluster's scope.
func SetDefaultsIngressClass(c *networkingv1.IngressClass) {
	if p := c.Spec.Parameters; p != nil && p.Scope == nil {
		p.Scope = ptr.To(networkingv1.IngressClassParametersReferenceScopeCluster)
	}
}
