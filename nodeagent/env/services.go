package env

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/nodeagent/host"
)

// serviceVars returns the variables of a namespace's services, in the form of Docker links, sorted
// by service. With links off there are only those of the API server's own service.
//
// Contract: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
func serviceVars(services []corev1.Service, namespace string, links bool) []host.EnvVar {
	chosen := map[string]*corev1.Service{}
	for i := range services {
		s := &services[i]
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone || len(s.Spec.Ports) == 0 {
			continue
		}
		master := s.Namespace == corev1.NamespaceDefault && s.Name == "kubernetes"
		switch {
		case s.Namespace == namespace && (links || master):
			chosen[s.Name] = s
		case master && chosen[s.Name] == nil:
			chosen[s.Name] = s
		}
	}
	ordered := make([]*corev1.Service, 0, len(chosen))
	for _, s := range chosen {
		ordered = append(ordered, s)
	}
	slices.SortFunc(ordered, func(a, b *corev1.Service) int { return cmp.Compare(a.Name, b.Name) })
	var vars []host.EnvVar
	for _, s := range ordered {
		vars = append(vars, linksOf(s)...)
	}
	return vars
}

func linksOf(s *corev1.Service) []host.EnvVar {
	prefix := varName(s.Name)
	ip, first := s.Spec.ClusterIP, s.Spec.Ports[0]
	vars := []host.EnvVar{
		{Name: prefix + "_SERVICE_HOST", Value: ip},
		{Name: prefix + "_SERVICE_PORT", Value: strconv.Itoa(int(first.Port))},
	}
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			vars = append(vars, host.EnvVar{Name: prefix + "_SERVICE_PORT_" + varName(p.Name), Value: strconv.Itoa(int(p.Port))})
		}
	}
	for i, p := range s.Spec.Ports {
		protocol := string(p.Protocol)
		if protocol == "" {
			protocol = string(corev1.ProtocolTCP)
		}
		port := strconv.Itoa(int(p.Port))
		url := fmt.Sprintf("%s://%s", strings.ToLower(protocol), net.JoinHostPort(ip, port))
		if i == 0 {
			vars = append(vars, host.EnvVar{Name: prefix + "_PORT", Value: url})
		}
		portPrefix := fmt.Sprintf("%s_PORT_%s_%s", prefix, port, strings.ToUpper(protocol))
		vars = append(vars,
			host.EnvVar{Name: portPrefix, Value: url},
			host.EnvVar{Name: portPrefix + "_PROTO", Value: strings.ToLower(protocol)},
			host.EnvVar{Name: portPrefix + "_PORT", Value: port},
			host.EnvVar{Name: portPrefix + "_ADDR", Value: ip})
	}
	return vars
}

func varName(s string) string {
	return strings.ToUpper(strings.ReplaceAll(s, "-", "_"))
}
