// Package core implements Kubernetes' core/v1 beyond its Go types: their
// defaults, their validation, their field selectors. Everything is a pure
// function of the objects; Install registers them in a scheme.
//
// Feature gates that are on by default upstream (v1.37) are on here, and there
// are no others: DropDisabledPodFields clears the fields of the rest.
//
// The API of this package is not stable: see docs/api.md.
package core

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/coracle-k8s/coracle/apis/core/service"
)

// SetServiceDefaults fills in what a Service leaves out. Addresses, node ports
// and IP families are the allocator's to choose.
func SetServiceDefaults(svc *corev1.Service) {
	s := &svc.Spec
	setIfZero(&s.SessionAffinity, corev1.ServiceAffinityNone)
	switch s.SessionAffinity {
	case corev1.ServiceAffinityNone:
		s.SessionAffinityConfig = nil
	case corev1.ServiceAffinityClientIP:
		setIfNil(&s.SessionAffinityConfig, corev1.SessionAffinityConfig{})
		setIfNil(&s.SessionAffinityConfig.ClientIP, corev1.ClientIPConfig{})
		setIfNil(&s.SessionAffinityConfig.ClientIP.TimeoutSeconds, corev1.DefaultClientIPServiceAffinitySeconds)
	}
	setIfZero(&s.Type, corev1.ServiceTypeClusterIP)
	for i := range s.Ports {
		p := &s.Ports[i]
		setIfZero(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if service.ExternallyAccessible(svc) {
		setIfZero(&s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	switch s.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		setIfNil(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeLoadBalancer {
		setIfNil(&s.AllocateLoadBalancerNodePorts, true)
		for i := range svc.Status.LoadBalancer.Ingress {
			if in := &svc.Status.LoadBalancer.Ingress[i]; in.IP != "" {
				setIfNil(&in.IPMode, corev1.LoadBalancerIPModeVIP)
			}
		}
	}
}

// SetEndpointsDefaults fills in what an Endpoints object leaves out.
func SetEndpointsDefaults(e *corev1.Endpoints) {
	for i := range e.Subsets {
		for j := range e.Subsets[i].Ports {
			setIfZero(&e.Subsets[i].Ports[j].Protocol, corev1.ProtocolTCP)
		}
	}
}

// SetNamespaceDefaults fills in phase and the label that carries the name, so
// that selectors can name a namespace. The finalizer is the strategy's.
func SetNamespaceDefaults(ns *corev1.Namespace) {
	setIfZero(&ns.Status.Phase, corev1.NamespaceActive)
	if ns.Name == "" {
		return
	}
	if ns.Labels == nil {
		ns.Labels = map[string]string{}
	}
	ns.Labels[corev1.LabelMetadataName] = ns.Name
}

// SetNodeDefaults fills in what a Node leaves out: allocatable is the capacity
// unless it is set, and podCIDR is the first of podCIDRs.
func SetNodeDefaults(n *corev1.Node) {
	if n.Status.Allocatable == nil && n.Status.Capacity != nil {
		n.Status.Allocatable = n.Status.Capacity.DeepCopy()
	}
	roundResources(n.Status.Capacity)
	roundResources(n.Status.Allocatable)
	s := &n.Spec
	switch {
	case s.PodCIDR == "" && len(s.PodCIDRs) > 0:
		s.PodCIDR = s.PodCIDRs[0]
	case s.PodCIDR != "" && (len(s.PodCIDRs) == 0 || s.PodCIDRs[0] != s.PodCIDR):
		s.PodCIDRs = []string{s.PodCIDR}
	}
}

// SetSecretDefaults fills in the type, and moves stringData, which is only for
// writing, over to data.
func SetSecretDefaults(s *corev1.Secret) {
	setIfZero(&s.Type, corev1.SecretTypeOpaque)
	if len(s.StringData) == 0 {
		return
	}
	if s.Data == nil {
		s.Data = make(map[string][]byte, len(s.StringData))
	}
	for k, v := range s.StringData {
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
}

// SetConfigMapDefaults gives every ConfigMap a data map, if an empty one.
func SetConfigMapDefaults(c *corev1.ConfigMap) {
	if c.Data == nil {
		c.Data = map[string]string{}
	}
}

// SetLimitRangeDefaults completes the limits of containers: the default limit
// is the maximum, the default request is the default limit or else the minimum.
func SetLimitRangeDefaults(lr *corev1.LimitRange) {
	for i := range lr.Spec.Limits {
		l := &lr.Spec.Limits[i]
		for _, list := range []corev1.ResourceList{l.Max, l.Min, l.Default, l.DefaultRequest, l.MaxLimitRequestRatio} {
			roundResources(list)
		}
		if l.Type != corev1.LimitTypeContainer {
			continue
		}
		setMissing(&l.Default, l.Max)
		setMissing(&l.DefaultRequest, l.Default)
		setMissing(&l.DefaultRequest, l.Min)
	}
}

func setMissing(list *corev1.ResourceList, from corev1.ResourceList) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	for name, q := range from {
		if _, ok := (*list)[name]; !ok {
			(*list)[name] = q.DeepCopy()
		}
	}
}

// SetResourceQuotaDefaults rounds the amounts of a ResourceQuota.
func SetResourceQuotaDefaults(q *corev1.ResourceQuota) {
	roundResources(q.Spec.Hard)
	roundResources(q.Status.Hard)
	roundResources(q.Status.Used)
}

// SetReplicationControllerDefaults fills in one replica, and selector and
// labels from the labels of the template.
func SetReplicationControllerDefaults(rc *corev1.ReplicationController) {
	if t := rc.Spec.Template; t != nil {
		if len(t.Labels) > 0 {
			if len(rc.Spec.Selector) == 0 {
				rc.Spec.Selector = maps.Clone(t.Labels)
			}
			if len(rc.Labels) == 0 {
				rc.Labels = maps.Clone(t.Labels)
			}
		}
		SetPodTemplateDefaults(t)
	}
	setIfNil(&rc.Spec.Replicas, 1)
}

// SetPodTemplateObjectDefaults fills in what a PodTemplate leaves out.
func SetPodTemplateObjectDefaults(t *corev1.PodTemplate) { SetPodTemplateDefaults(&t.Template) }
