package quota

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
)

var servicesResource = corev1.SchemeGroupVersion.WithResource("services")

const countServices = corev1.ResourceName("count/services")

func newServices(list List) quotav1.Evaluator {
	return &evaluator{
		resource: servicesResource.GroupResource(),
		list:     list.of(servicesResource),
		limits: func(r corev1.ResourceName) bool {
			return r == countServices || r == corev1.ResourceServices ||
				r == corev1.ResourceServicesNodePorts || r == corev1.ResourceServicesLoadBalancers
		},
		// An update may turn a Service into one that takes ports.
		handles: createOrUpdate,
		usage: func(o runtime.Object) (corev1.ResourceList, error) {
			s, err := as[*corev1.Service](o)
			if err != nil {
				return nil, err
			}
			return ServiceUsage(s), nil
		},
	}
}

func createOrUpdate(a admission.Attributes) bool {
	return a.GetSubresource() == "" && (a.GetOperation() == admission.Create || a.GetOperation() == admission.Update)
}

// ServiceUsage returns what a Service uses: node ports are those that its ports
// have, or will be given.
func ServiceUsage(s *corev1.Service) corev1.ResourceList {
	one, none := *resource.NewQuantity(1, resource.DecimalSI), *resource.NewQuantity(0, resource.DecimalSI)
	usage := corev1.ResourceList{
		countServices:                        one,
		corev1.ResourceServices:              one,
		corev1.ResourceServicesNodePorts:     none,
		corev1.ResourceServicesLoadBalancers: none,
	}
	ports := int64(len(s.Spec.Ports))
	switch s.Spec.Type {
	case corev1.ServiceTypeNodePort:
		usage[corev1.ResourceServicesNodePorts] = *resource.NewQuantity(ports, resource.DecimalSI)
	case corev1.ServiceTypeLoadBalancer:
		if a := s.Spec.AllocateLoadBalancerNodePorts; a != nil && !*a {
			ports = 0
			for _, p := range s.Spec.Ports {
				if p.NodePort != 0 {
					ports++
				}
			}
		}
		usage[corev1.ResourceServicesNodePorts] = *resource.NewQuantity(ports, resource.DecimalSI)
		usage[corev1.ResourceServicesLoadBalancers] = one
	}
	return usage
}
