package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install adds core/v1 to s: the types, themselves as hub, their defaults, the
// labels their field selectors understand, and the query parameters of a pod's
// and a service's streaming subresources.
func Install(s *runtime.Scheme) error {
	if err := corev1.AddToScheme(s); err != nil {
		return fmt.Errorf("adding core/v1 to the scheme: %w", err)
	}
	if err := hub.Add(s, corev1.SchemeGroupVersion); err != nil {
		return err
	}
	addDefaults(s)
	if err := addFieldLabels(s); err != nil {
		return err
	}
	return addQueryConversions(s)
}

func addDefaults(s *runtime.Scheme) {
	defaulting(s, &corev1.Pod{}, SetPodDefaults, &corev1.PodList{}, func(l *corev1.PodList) []corev1.Pod { return l.Items })
	defaulting(s, &corev1.PodTemplate{}, SetPodTemplateObjectDefaults, &corev1.PodTemplateList{}, func(l *corev1.PodTemplateList) []corev1.PodTemplate { return l.Items })
	defaulting(s, &corev1.ReplicationController{}, SetReplicationControllerDefaults, &corev1.ReplicationControllerList{}, func(l *corev1.ReplicationControllerList) []corev1.ReplicationController { return l.Items })
	defaulting(s, &corev1.Service{}, SetServiceDefaults, &corev1.ServiceList{}, func(l *corev1.ServiceList) []corev1.Service { return l.Items })
	defaulting(s, &corev1.Endpoints{}, SetEndpointsDefaults, &corev1.EndpointsList{}, func(l *corev1.EndpointsList) []corev1.Endpoints { return l.Items })
	defaulting(s, &corev1.Namespace{}, SetNamespaceDefaults, &corev1.NamespaceList{}, func(l *corev1.NamespaceList) []corev1.Namespace { return l.Items })
	defaulting(s, &corev1.Node{}, SetNodeDefaults, &corev1.NodeList{}, func(l *corev1.NodeList) []corev1.Node { return l.Items })
	defaulting(s, &corev1.Secret{}, SetSecretDefaults, &corev1.SecretList{}, func(l *corev1.SecretList) []corev1.Secret { return l.Items })
	defaulting(s, &corev1.ConfigMap{}, SetConfigMapDefaults, &corev1.ConfigMapList{}, func(l *corev1.ConfigMapList) []corev1.ConfigMap { return l.Items })
	defaulting(s, &corev1.LimitRange{}, SetLimitRangeDefaults, &corev1.LimitRangeList{}, func(l *corev1.LimitRangeList) []corev1.LimitRange { return l.Items })
	defaulting(s, &corev1.ResourceQuota{}, SetResourceQuotaDefaults, &corev1.ResourceQuotaList{}, func(l *corev1.ResourceQuotaList) []corev1.ResourceQuota { return l.Items })
	defaulting(s, &corev1.PersistentVolume{}, SetPersistentVolumeDefaults, &corev1.PersistentVolumeList{}, func(l *corev1.PersistentVolumeList) []corev1.PersistentVolume { return l.Items })
	defaulting(s, &corev1.PersistentVolumeClaim{}, SetPersistentVolumeClaimDefaults, &corev1.PersistentVolumeClaimList{}, func(l *corev1.PersistentVolumeClaimList) []corev1.PersistentVolumeClaim { return l.Items })
}

// defaulting registers set for objects of one kind and for every item of its list.
func defaulting[T, L any](s *runtime.Scheme, obj runtime.Object, set func(*T), list runtime.Object, items func(*L) []T) {
	s.AddTypeDefaultingFunc(obj, func(o any) { set(o.(*T)) })
	s.AddTypeDefaultingFunc(list, func(o any) {
		list := items(o.(*L))
		for i := range list {
			set(&list[i])
		}
	})
}

// selectable lists, by kind, the labels that field selectors may use beside
// metadata.name and, for what lives in a namespace, metadata.namespace.
// Kinds that are not here have just those two.
func selectable() map[string][]string {
	return map[string][]string{
		"Pod": {"metadata.namespace", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
			"spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"},
		"Node":                  {"spec.unschedulable"},
		"ReplicationController": {"metadata.namespace", "status.replicas"},
		"Event": {"metadata.namespace", "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
			"involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
			"reason", "reportingComponent", "source", "type"},
		"Namespace": {"status.phase"},
		"Secret":    {"metadata.namespace", "type"},
		"Service":   {"metadata.namespace", "spec.clusterIP", "spec.type"},
	}
}

func addFieldLabels(s *runtime.Scheme) error {
	for kind, labels := range selectable() {
		known := map[string]bool{"metadata.name": true}
		for _, l := range labels {
			known[l] = true
		}
		err := s.AddFieldLabelConversionFunc(corev1.SchemeGroupVersion.WithKind(kind), func(label, value string) (string, string, error) {
			switch {
			case known[label]:
				return label, value, nil
			case kind == "Pod" && label == "spec.host": // what v1beta3 called it
				return "spec.nodeName", value, nil
			}
			return "", "", fmt.Errorf("field label not supported: %s", label)
		})
		if err != nil {
			return fmt.Errorf("adding the field labels of %s: %w", kind, err)
		}
	}
	return nil
}
