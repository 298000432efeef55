package networking

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// AnnotationIngressClass named the class of an Ingress before there was a field for it.
const AnnotationIngressClass = "kubernetes.io/ingress.class"

// maxController bounds the name of an ingress controller, in bytes.
const maxController = 250

// ValidateIngress validates a new Ingress.
func ValidateIngress(in *networkingv1.Ingress) field.ErrorList {
	errs := append(validateMeta(&in.ObjectMeta, true), ingress{}.validate(&in.Spec)...)
	class, ok := in.Annotations[AnnotationIngressClass]
	if ok && in.Spec.IngressClassName != nil && class != *in.Spec.IngressClassName {
		errs = append(errs, field.Invalid(field.NewPath("annotations").Child(AnnotationIngressClass), class, "must match `ingressClassName` when both are specified"))
	}
	return errs
}

// ValidateIngressUpdate validates a changed Ingress; what was stored before
// today's rules stays allowed.
func ValidateIngressUpdate(in, old *networkingv1.Ingress) field.ErrorList {
	var v ingress
	for _, tls := range old.Spec.TLS {
		v.anySecret = v.anySecret || len(secretName(tls.SecretName)) > 0
	}
	for i := range old.Spec.Rules {
		r := &old.Spec.Rules[i]
		v.anyWildcardRule = v.anyWildcardRule || strings.Contains(r.Host, "*") && len(httpRule(nil, r.HTTP)) > 0
	}
	errs := append(validateMetaUpdate(&in.ObjectMeta, &old.ObjectMeta), validateMeta(&in.ObjectMeta, true)...)
	return append(errs, v.validate(&in.Spec)...)
}

// ingress validates an Ingress in view of what was stored.
type ingress struct{ anySecret, anyWildcardRule bool }

func (v ingress) validate(s *networkingv1.IngressSpec) field.ErrorList {
	var errs field.ErrorList
	if len(s.Rules) == 0 && s.DefaultBackend == nil {
		errs = append(errs, field.Invalid(specPath, s.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	if s.DefaultBackend != nil {
		errs = append(errs, backend(specPath.Child("defaultBackend"), s.DefaultBackend)...)
	}
	for i := range s.Rules {
		errs = append(errs, v.rule(specPath.Child("rules").Index(i), &s.Rules[i])...)
	}
	for i := range s.TLS {
		errs = append(errs, v.tls(specPath.Child("tls").Index(i), &s.TLS[i])...)
	}
	if n := s.IngressClassName; n != nil {
		errs = append(errs, check.Invalid(specPath.Child("ingressClassName"), *n, validation.NameIsDNSSubdomain(*n, false))...)
	}
	return errs
}

// host validates a DNS name that may start with a wildcard.
func host(path *field.Path, name string) field.ErrorList {
	if strings.Contains(name, "*") {
		return check.Invalid(path, name, utilvalidation.IsWildcardDNS1123Subdomain(name))
	}
	return check.Invalid(path, name, utilvalidation.IsDNS1123Subdomain(name))
}

func notAddress(path *field.Path, name string) field.ErrorList {
	if netutils.ParseIPSloppy(name) != nil {
		return field.ErrorList{field.Invalid(path, name, "must be a DNS name, not an IP address")}
	}
	return nil
}

func secretName(name string) []string {
	if name == "" {
		return nil
	}
	return validation.NameIsDNSSubdomain(name, false)
}

func (v ingress) tls(path *field.Path, t *networkingv1.IngressTLS) field.ErrorList {
	var errs field.ErrorList
	for i, name := range t.Hosts {
		errs = append(errs, host(path.Child("hosts").Index(i), name)...)
	}
	if !v.anySecret {
		errs = append(errs, check.Invalid(path.Child("secretName"), t.SecretName, secretName(t.SecretName))...)
	}
	return errs
}

func (v ingress) rule(path *field.Path, r *networkingv1.IngressRule) field.ErrorList {
	var errs field.ErrorList
	if r.Host != "" {
		errs = append(notAddress(path.Child("host"), r.Host), host(path.Child("host"), r.Host)...)
	}
	if v.anyWildcardRule && strings.Contains(r.Host, "*") {
		return errs
	}
	return append(errs, httpRule(path, r.HTTP)...)
}

func httpRule(path *field.Path, h *networkingv1.HTTPIngressRuleValue) field.ErrorList {
	if h == nil {
		return nil
	}
	paths := path.Child("http", "paths")
	if len(h.Paths) == 0 {
		return field.ErrorList{field.Required(paths, "")}
	}
	var errs field.ErrorList
	for i := range h.Paths {
		errs = append(errs, httpPath(paths.Index(i), &h.Paths[i])...)
	}
	return errs
}

func httpPath(path *field.Path, p *networkingv1.HTTPIngressPath) field.ErrorList {
	if p.PathType == nil {
		return field.ErrorList{field.Required(path.Child("pathType"), "pathType must be specified")}
	}
	var errs field.ErrorList
	at := path.Child("path")
	absolute := func() {
		if !strings.HasPrefix(p.Path, "/") {
			errs = append(errs, field.Invalid(at, p.Path, "must be an absolute path"))
		}
	}
	switch *p.PathType {
	case networkingv1.PathTypeExact, networkingv1.PathTypePrefix:
		absolute()
		for _, bad := range []string{"//", "/./", "/../", "%2f", "%2F"} {
			if strings.Contains(p.Path, bad) {
				errs = append(errs, field.Invalid(at, p.Path, fmt.Sprintf("must not contain '%s'", bad)))
			}
		}
		for _, bad := range []string{"/..", "/."} {
			if strings.HasSuffix(p.Path, bad) {
				errs = append(errs, field.Invalid(at, p.Path, fmt.Sprintf("cannot end with '%s'", bad)))
			}
		}
	case networkingv1.PathTypeImplementationSpecific:
		if p.Path != "" {
			absolute()
		}
	default:
		errs = append(errs, field.NotSupported(path.Child("pathType"), *p.PathType,
			[]networkingv1.PathType{networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix}))
	}
	return append(errs, backend(path.Child("backend"), &p.Backend)...)
}

func backend(path *field.Path, b *networkingv1.IngressBackend) field.ErrorList {
	switch {
	case b.Resource != nil && b.Service != nil:
		return field.ErrorList{field.Invalid(path, "", "cannot set both resource and service backends")}
	case b.Resource != nil:
		return objectReference(path.Child("resource"), b.Resource)
	case b.Service != nil:
		return serviceBackend(path, b.Service)
	}
	return field.ErrorList{field.Invalid(path, "", "resource or service backend is required")}
}

func serviceBackend(path *field.Path, s *networkingv1.IngressServiceBackend) field.ErrorList {
	var errs field.ErrorList
	at := path.Child("service")
	if s.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	} else {
		errs = append(errs, check.Invalid(at.Child("name"), s.Name, validation.NameIsDNSLabel(s.Name, false))...)
	}
	switch name, number := s.Port.Name, s.Port.Number; {
	case name != "" && number != 0:
		errs = append(errs, field.Invalid(path, "", "cannot set both port name & port number"))
	case name != "":
		errs = append(errs, check.Invalid(at.Child("port", "name"), name, utilvalidation.IsValidPortName(name))...)
	case number != 0:
		errs = append(errs, check.Invalid(at.Child("port", "number"), number, utilvalidation.IsValidPortNum(int(number)))...)
	default:
		errs = append(errs, field.Required(path, "port name or number is required"))
	}
	return errs
}

func objectReference(path *field.Path, r *corev1.TypedLocalObjectReference) field.ErrorList {
	var errs field.ErrorList
	if r.APIGroup != nil {
		errs = append(errs, check.Invalid(path.Child("apiGroup"), *r.APIGroup, utilvalidation.IsDNS1123Subdomain(*r.APIGroup))...)
	}
	errs = append(errs, segment(path.Child("kind"), r.Kind)...)
	return append(errs, segment(path.Child("name"), r.Name)...)
}

// ValidateIngressStatusUpdate validates the subresource status.
func ValidateIngressStatusUpdate(in, old *networkingv1.Ingress) field.ErrorList {
	errs := validateMetaUpdate(&in.ObjectMeta, &old.ObjectMeta)
	var stored []string
	for _, p := range old.Status.LoadBalancer.Ingress {
		if p.IP != "" {
			stored = append(stored, p.IP)
		}
	}
	for i, p := range in.Status.LoadBalancer.Ingress {
		at := field.NewPath("status", "loadBalancer", "ingress").Index(i)
		if p.IP != "" {
			errs = append(errs, utilvalidation.IsValidIPForLegacyField(at.Child("ip"), p.IP, true, stored)...)
		}
		if p.Hostname != "" {
			errs = append(errs, check.Invalid(at.Child("hostname"), p.Hostname, utilvalidation.IsDNS1123Subdomain(p.Hostname))...)
			errs = append(errs, notAddress(at.Child("hostname"), p.Hostname)...)
		}
	}
	return errs
}

// ValidateIngressClass validates a new IngressClass.
func ValidateIngressClass(c *networkingv1.IngressClass) field.ErrorList {
	errs := validateMeta(&c.ObjectMeta, false)
	controller := specPath.Child("controller")
	if len(c.Spec.Controller) > maxController {
		errs = append(errs, field.TooLong(controller, "", maxController))
	}
	errs = append(errs, utilvalidation.IsDomainPrefixedPath(controller, c.Spec.Controller)...)
	if p := c.Spec.Parameters; p != nil {
		path := specPath.Child("parameters")
		errs = append(errs, classParameters(path, p)...)
		// Declared beside upstream's type, and therefore last.
		if p.Kind == "" {
			errs = append(errs, field.Required(path.Child("kind"), ""))
		}
		if p.Name == "" {
			errs = append(errs, field.Required(path.Child("name"), ""))
		}
	}
	return errs
}

// ValidateIngressClassUpdate validates a changed IngressClass: it keeps its
// controller.
func ValidateIngressClassUpdate(c, old *networkingv1.IngressClass) field.ErrorList {
	errs := validateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, validation.ValidateImmutableField(c.Spec.Controller, old.Spec.Controller, specPath.Child("controller"))...)
	return append(errs, ValidateIngressClass(c)...)
}

func classParameters(path *field.Path, p *networkingv1.IngressClassParametersReference) field.ErrorList {
	var errs field.ErrorList
	if p.APIGroup != nil {
		errs = append(errs, check.Invalid(path.Child("apiGroup"), *p.APIGroup, utilvalidation.IsDNS1123Subdomain(*p.APIGroup))...)
	}
	errs = append(errs, check.Invalid(path.Child("kind"), p.Kind, content.IsPathSegmentName(p.Kind))...)
	errs = append(errs, check.Invalid(path.Child("name"), p.Name, content.IsPathSegmentName(p.Name))...)
	if p.Scope == nil {
		return append(errs, field.Required(path.Child("scope"), ""))
	}
	const cluster, namespace = networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace
	at := path.Child("namespace")
	switch *p.Scope {
	case namespace:
		if p.Namespace == nil {
			return append(errs, field.Required(at, "`parameters.scope` is set to 'Namespace'"))
		}
		return append(errs, check.Invalid(at, *p.Namespace, validation.ValidateNamespaceName(*p.Namespace, false))...)
	case cluster:
		if p.Namespace != nil {
			errs = append(errs, field.Forbidden(at, "`parameters.scope` is set to 'Cluster'"))
		}
		return errs
	}
	return append(errs, field.NotSupported(path.Child("scope"), *p.Scope, []string{cluster, namespace}))
}
