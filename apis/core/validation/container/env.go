package container

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// FieldUse holds where a field of the pod is handed to a container: the
// environment and volumes offer different ones.
type FieldUse string

const (
	envFields FieldUse = "environment"
	// VolumeFields are those that the downward API offers in files.
	VolumeFields FieldUse = "volume"
)

// fields returns the paths on offer, in order.
func (u FieldUse) fields() []string {
	if u == VolumeFields {
		return []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
	}
	return []string{"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}
}

// knownField reports whether a path has a meaning at all; another one is a
// mistake in the path, not in its use.
func knownField(p string) bool {
	return slices.Contains(envFields.fields(), p) || slices.Contains(VolumeFields.fields(), p) ||
		slices.Contains([]string{"spec.restartPolicy", "spec.schedulerName", "status.phase"}, p)
}

// subscript splits metadata.annotations['key'] into path and key.
func subscript(p string) (path, key string, ok bool) {
	rest, ok := strings.CutSuffix(p, "']")
	if !ok {
		return p, "", false
	}
	path, key, ok = strings.Cut(rest, "['")
	if !ok || path == "" {
		return p, "", false
	}
	return path, key, true
}

// FieldRef validates a field of the pod. Upstream finds fault with a bad label
// or annotation at the reference itself.
func FieldRef(fldPath *field.Path, f *corev1.ObjectFieldSelector, use FieldUse) field.ErrorList {
	at := fldPath.Child("fieldPath")
	unknown := func(why string) field.ErrorList {
		return field.ErrorList{field.Invalid(at, f.FieldPath, "error converting fieldPath: "+why)}
	}
	switch {
	case f.APIVersion == "":
		return field.ErrorList{field.Required(fldPath.Child("apiVersion"), "")}
	case f.FieldPath == "":
		return field.ErrorList{field.Required(at, "")}
	case f.APIVersion != "v1":
		return unknown("unsupported pod version: " + f.APIVersion)
	}
	path, key, ok := subscript(f.FieldPath)
	switch {
	case ok && path == "metadata.annotations":
		return check.Invalid(fldPath, strings.ToLower(key), validation.IsQualifiedName(strings.ToLower(key)))
	case ok && path == "metadata.labels":
		return check.Invalid(fldPath, key, validation.IsQualifiedName(key))
	case ok:
		return unknown("field label does not support subscript: " + f.FieldPath)
	case path == "spec.host": // what v1beta3 called it
		path = "spec.nodeName"
	case !knownField(path):
		return unknown("field label not supported: " + path)
	}
	return check.OneOf(at, path, use.fields()...)
}

const memoryDivisors = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"

// ResourceFieldRef validates a reference to the resources of a container; volume is set
// for one in a volume, which has to name the container.
func ResourceFieldRef(fldPath *field.Path, f *corev1.ResourceFieldSelector, volume bool) field.ErrorList {
	var errs field.ErrorList
	pages := strings.HasPrefix(f.Resource, "limits.hugepages-") || strings.HasPrefix(f.Resource, "requests.hugepages-")
	switch {
	case volume && f.ContainerName == "":
		errs = append(errs, field.Required(fldPath.Child("containerName"), ""))
	case f.Resource == "":
		errs = append(errs, field.Required(fldPath.Child("resource"), ""))
	case !pages:
		errs = append(errs, check.OneOf(fldPath.Child("resource"), f.Resource, "limits.cpu", "limits.ephemeral-storage", "limits.memory",
			"requests.cpu", "requests.ephemeral-storage", "requests.memory")...)
	}
	kind, allowed := "", memoryDivisors
	switch f.Resource {
	case "limits.cpu", "requests.cpu":
		kind, allowed = "cpu", "1m and 1"
	case "limits.memory", "requests.memory":
		kind = "memory"
	case "limits.ephemeral-storage", "requests.ephemeral-storage":
		kind = "local ephemeral storage"
	default:
		if pages {
			kind = "hugepages"
		}
	}
	if kind == "" || f.Divisor.IsZero() || isDivisor(f.Divisor, kind == "cpu") {
		return errs
	}
	return append(errs, field.Invalid(fldPath.Child("divisor"), f.Resource, fmt.Sprintf("only divisor's values %s are supported with the %s resource", allowed, kind)))
}

func isDivisor(d resource.Quantity, cpu bool) bool {
	if cpu {
		return d.String() == "1m" || d.String() == "1"
	}
	return slices.Contains(strings.Split(memoryDivisors, ", "), d.String())
}

func env(fldPath *field.Path, list []corev1.EnvVar) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		e, at := &list[i], fldPath.Index(i)
		errs = append(errs, check.Named(at.Child("name"), e.Name, validation.IsRelaxedEnvVarName)...)
		if e.ValueFrom != nil {
			errs = append(errs, envSource(at.Child("valueFrom"), e)...)
		}
	}
	return errs
}

func envSource(fldPath *field.Path, e *corev1.EnvVar) field.ErrorList {
	var errs field.ErrorList
	s, n := e.ValueFrom, 0
	if s.FieldRef != nil {
		n++
		errs = append(errs, FieldRef(fldPath.Child("fieldRef"), s.FieldRef, envFields)...)
	}
	if s.ResourceFieldRef != nil {
		n++
		errs = append(errs, ResourceFieldRef(fldPath.Child("resourceFieldRef"), s.ResourceFieldRef, false)...)
	}
	if r := s.ConfigMapKeyRef; r != nil {
		n++
		errs = append(errs, keyRef(fldPath.Child("configMapKeyRef"), r.Name, r.Key)...)
	}
	if r := s.SecretKeyRef; r != nil {
		n++
		errs = append(errs, keyRef(fldPath.Child("secretKeyRef"), r.Name, r.Key)...)
	}
	if s.FileKeyRef != nil {
		n++
		errs = append(errs, fileKeyRef(fldPath.Child("fileKeyRef"), s.FileKeyRef)...)
	}
	switch {
	case n == 0:
		errs = append(errs, field.Invalid(fldPath, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"))
	case e.Value != "":
		errs = append(errs, field.Invalid(fldPath, "", "may not be specified when `value` is not empty"))
	case n > 1:
		errs = append(errs, field.Invalid(fldPath, "", "may not have more than one field specified at a time"))
	}
	return errs
}

func keyRef(fldPath *field.Path, name, key string) field.ErrorList {
	return append(check.Invalid(fldPath.Child("name"), name, check.IsSubdomain(name)), check.Named(fldPath.Child("key"), key, validation.IsConfigMapKey)...)
}

func fileKeyRef(fldPath *field.Path, r *corev1.FileKeySelector) field.ErrorList {
	errs := check.Named(fldPath.Child("key"), r.Key, validation.IsRelaxedEnvVarName)
	errs = append(errs, check.Named(fldPath.Child("volumeName"), r.VolumeName, validation.IsDNS1123Label)...)
	if r.Path == "" {
		return append(errs, field.Required(fldPath.Child("path"), ""))
	}
	return append(errs, check.NoBacksteps(fldPath.Child("path"), r.Path)...)
}

// FileKeyVolumes validates that files of environment variables are in volumes that
// containers can write.
func (s *Scope) FileKeyVolumes(fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	empty := make(map[string]bool, len(s.Spec.Volumes))
	for _, v := range s.Spec.Volumes {
		empty[v.Name] = v.EmptyDir != nil
	}
	pod.VisitContainersWithPath(s.Spec, fldPath, func(at *field.Path, c *corev1.Container) {
		for i, e := range c.Env {
			if e.ValueFrom == nil || e.ValueFrom.FileKeyRef == nil {
				continue
			}
			at, name := at.Child("env").Index(i).Child("valueFrom", "fileKeyRef", "volumeName"), e.ValueFrom.FileKeyRef.VolumeName
			switch isEmpty, ok := empty[name]; {
			case !ok:
				errs = append(errs, field.NotFound(at, name))
			case !isEmpty:
				errs = append(errs, field.Invalid(at, name, "referenced volume must be of type emptyDir"))
			}
		}
	})
	return errs
}

// envFrom validates lists of variables. Names may be prefixes, as upstream has
// it, and a wrong number of sources is the list's error.
func envFrom(fldPath *field.Path, list []corev1.EnvFromSource) field.ErrorList {
	var errs field.ErrorList
	name := func(v string) []string { return apivalidation.NameIsDNSSubdomain(v, true) }
	for i := range list {
		e, at := &list[i], fldPath.Index(i)
		if e.Prefix != "" {
			errs = append(errs, check.Invalid(at.Child("prefix"), e.Prefix, validation.IsRelaxedEnvVarName(e.Prefix))...)
		}
		if e.ConfigMapRef != nil {
			errs = append(errs, check.Named(at.Child("configMapRef", "name"), e.ConfigMapRef.Name, name)...)
		}
		if e.SecretRef != nil {
			errs = append(errs, check.Named(at.Child("secretRef", "name"), e.SecretRef.Name, name)...)
		}
		switch {
		case e.ConfigMapRef == nil && e.SecretRef == nil:
			errs = append(errs, field.Invalid(fldPath, "", "must specify one of: `configMapRef` or `secretRef`"))
		case e.ConfigMapRef != nil && e.SecretRef != nil:
			errs = append(errs, field.Invalid(fldPath, "", "may not have more than one field specified at a time"))
		}
	}
	return errs
}
