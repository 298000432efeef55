package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// fieldUse says where a field of the pod is handed to a container: the
// environment and volumes offer different ones.
type fieldUse string

const (
	envFields    fieldUse = "environment"
	volumeFields fieldUse = "volume"
)

// fields returns the paths on offer, in order.
func (u fieldUse) fields() []string {
	if u == volumeFields {
		return []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
	}
	return []string{"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}
}

// known are the paths that mean something at all; another one is a mistake in
// the path, not in its use.
func knownField(p string) bool {
	return slices.Contains(envFields.fields(), p) || slices.Contains(volumeFields.fields(), p) ||
		slices.Contains([]string{"spec.restartPolicy", "spec.schedulerName", "spec.host", "status.phase"}, p)
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

func fieldRef(fldPath *field.Path, f *corev1.ObjectFieldSelector, use fieldUse) field.ErrorList {
	at := fldPath.Child("fieldPath")
	switch {
	case f.APIVersion == "":
		return field.ErrorList{field.Required(fldPath.Child("apiVersion"), "")}
	case f.FieldPath == "":
		return field.ErrorList{field.Required(at, "")}
	case f.APIVersion != "v1":
		return field.ErrorList{field.Invalid(at, f.FieldPath, "error converting fieldPath: unsupported pod version: "+f.APIVersion)}
	}
	path, key, ok := subscript(f.FieldPath)
	if !ok {
		if !knownField(path) {
			return field.ErrorList{field.Invalid(at, f.FieldPath, "error converting fieldPath: field label not supported: "+path)}
		}
		return oneOf(at, path, use.fields()...)
	}
	switch path {
	case "metadata.annotations":
		return invalid(at, key, validation.IsQualifiedName(strings.ToLower(key)))
	case "metadata.labels":
		return invalid(at, key, validation.IsQualifiedName(key))
	}
	if !knownField(path) {
		return field.ErrorList{field.Invalid(at, f.FieldPath, "error converting fieldPath: field label not supported: "+f.FieldPath)}
	}
	return field.ErrorList{field.Invalid(at, path, "does not support subscript")}
}

func resourceFieldRef(fldPath *field.Path, f *corev1.ResourceFieldSelector, volume bool) field.ErrorList {
	if volume && f.ContainerName == "" {
		return field.ErrorList{field.Required(fldPath.Child("containerName"), "")}
	}
	if f.Resource == "" {
		return field.ErrorList{field.Required(fldPath.Child("resource"), "")}
	}
	_, name, _ := strings.Cut(f.Resource, ".")
	pages := isHugePages(corev1.ResourceName(name)) &&
		(strings.HasPrefix(f.Resource, "limits.") || strings.HasPrefix(f.Resource, corev1.DefaultResourceRequestsPrefix))
	if !pages {
		if errs := oneOf(fldPath.Child("resource"), f.Resource, "limits.cpu", "limits.ephemeral-storage", "limits.memory",
			"requests.cpu", "requests.ephemeral-storage", "requests.memory"); len(errs) > 0 {
			return errs
		}
	}
	return divisor(fldPath.Child("divisor"), name, f.Divisor)
}

func divisor(fldPath *field.Path, name string, d resource.Quantity) field.ErrorList {
	if d.IsZero() {
		return nil
	}
	allowed, kind := []string{"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"}, name
	switch {
	case name == "cpu":
		allowed = []string{"1m", "1"}
	case name == "ephemeral-storage":
		kind = "local ephemeral storage"
	case name != "memory":
		kind = "hugepages"
	}
	if slices.Contains(allowed, d.String()) {
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath, name, fmt.Sprintf("only divisor's values %s are supported with the %s resource", strings.Join(allowed, ", "), kind))}
}

func env(fldPath *field.Path, list []corev1.EnvVar, volumes map[string]*corev1.Volume) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		e, at := &list[i], fldPath.Index(i)
		errs = append(errs, named(at.Child("name"), e.Name, validation.IsRelaxedEnvVarName)...)
		if e.ValueFrom != nil {
			errs = append(errs, envSource(at.Child("valueFrom"), e, volumes)...)
		}
	}
	return errs
}

func envSource(fldPath *field.Path, e *corev1.EnvVar, volumes map[string]*corev1.Volume) field.ErrorList {
	var errs field.ErrorList
	s, n := e.ValueFrom, 0
	if s.FieldRef != nil {
		n++
		errs = append(errs, fieldRef(fldPath.Child("fieldRef"), s.FieldRef, envFields)...)
	}
	if s.ResourceFieldRef != nil {
		n++
		errs = append(errs, resourceFieldRef(fldPath.Child("resourceFieldRef"), s.ResourceFieldRef, false)...)
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
		errs = append(errs, fileKeyRef(fldPath.Child("fileKeyRef"), s.FileKeyRef, volumes)...)
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
	return append(required(fldPath.Child("name"), name), named(fldPath.Child("key"), key, validation.IsConfigMapKey)...)
}

// maxFileKey is the length of a key in a file of environment variables, in bytes.
const maxFileKey = 128

func fileKeyRef(fldPath *field.Path, r *corev1.FileKeySelector, volumes map[string]*corev1.Volume) field.ErrorList {
	var errs field.ErrorList
	at := fldPath.Child("volumeName")
	switch v, ok := volumes[r.VolumeName]; {
	case r.VolumeName == "":
		errs = append(errs, field.Required(at, ""))
	case !ok:
		errs = append(errs, field.NotFound(at, r.VolumeName))
	case v.EmptyDir == nil:
		errs = append(errs, field.Invalid(at, r.VolumeName, "referenced volume must be of type emptyDir"))
	}
	errs = append(errs, pathOfFile(fldPath.Child("path"), r.Path)...)
	errs = append(errs, named(fldPath.Child("key"), r.Key, validation.IsRelaxedEnvVarName)...)
	if len(r.Key) > maxFileKey {
		errs = append(errs, field.TooLong(fldPath.Child("key"), r.Key, maxFileKey))
	}
	return errs
}

func envFrom(fldPath *field.Path, list []corev1.EnvFromSource) field.ErrorList {
	var errs field.ErrorList
	name := isName(apivalidation.NameIsDNSSubdomain)
	for i := range list {
		e, at := &list[i], fldPath.Index(i)
		if e.Prefix != "" {
			errs = append(errs, invalid(at.Child("prefix"), e.Prefix, validation.IsRelaxedEnvVarName(e.Prefix))...)
		}
		if e.ConfigMapRef != nil {
			errs = append(errs, named(at.Child("configMapRef", "name"), e.ConfigMapRef.Name, name)...)
		}
		if e.SecretRef != nil {
			errs = append(errs, named(at.Child("secretRef", "name"), e.SecretRef.Name, name)...)
		}
		switch {
		case e.ConfigMapRef == nil && e.SecretRef == nil:
			errs = append(errs, field.Invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"))
		case e.ConfigMapRef != nil && e.SecretRef != nil:
			errs = append(errs, field.Invalid(at, "", "may not have more than one field specified at a time"))
		}
	}
	return errs
}
