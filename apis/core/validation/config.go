package validation

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateConfigMap validates a new ConfigMap.
func ValidateConfigMap(c *corev1.ConfigMap) field.ErrorList {
	errs := check.ObjectMeta(&c.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	size := 0
	for _, k := range slices.Sorted(maps.Keys(c.Data)) {
		errs = append(errs, check.Invalid(field.NewPath("data").Key(k), k, validation.IsConfigMapKey(k))...)
		if _, ok := c.BinaryData[k]; ok {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(k), k, "duplicate of key present in binaryData"))
		}
		size += len(c.Data[k])
	}
	for _, k := range slices.Sorted(maps.Keys(c.BinaryData)) {
		errs = append(errs, check.Invalid(field.NewPath("binaryData").Key(k), k, validation.IsConfigMapKey(k))...)
		size += len(c.BinaryData[k])
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	return errs
}

// frozen validates that an immutable object stays immutable and keeps its data.
func frozen(now, old *bool, same map[string]bool) field.ErrorList {
	if old == nil || !*old {
		return nil
	}
	var errs field.ErrorList
	if now == nil || !*now {
		errs = append(errs, field.Forbidden(field.NewPath("immutable"), "field is immutable when `immutable` is set"))
	}
	for _, name := range slices.Sorted(maps.Keys(same)) {
		if !same[name] {
			errs = append(errs, field.Forbidden(field.NewPath(name), "field is immutable when `immutable` is set"))
		}
	}
	return errs
}

// ValidateConfigMapUpdate validates an update of a ConfigMap.
func ValidateConfigMapUpdate(c, old *corev1.ConfigMap) field.ErrorList {
	errs := check.ObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, frozen(c.Immutable, old.Immutable, map[string]bool{
		"data":       reflect.DeepEqual(c.Data, old.Data),
		"binaryData": reflect.DeepEqual(c.BinaryData, old.BinaryData),
	})...)
	return append(errs, ValidateConfigMap(c)...)
}

// ValidateSecret validates a new Secret: its keys, its size, and what its type asks for.
func ValidateSecret(s *corev1.Secret) field.ErrorList {
	errs := check.ObjectMeta(&s.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	data, size := field.NewPath("data"), 0
	for _, k := range slices.Sorted(maps.Keys(s.Data)) {
		errs = append(errs, check.Invalid(data.Key(k), k, validation.IsConfigMapKey(k))...)
		size += len(s.Data[k])
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(data, "", corev1.MaxSecretSize))
	}
	return append(errs, secretType(s)...)
}

func secretType(s *corev1.Secret) field.ErrorList {
	data := field.NewPath("data")
	has := func(k string) bool { _, ok := s.Data[k]; return ok }
	need := func(keys ...string) field.ErrorList {
		var errs field.ErrorList
		for _, k := range keys {
			if !has(k) {
				errs = append(errs, field.Required(data.Key(k), ""))
			}
		}
		return errs
	}
	switch s.Type {
	case corev1.SecretTypeServiceAccountToken:
		if s.Annotations[corev1.ServiceAccountNameKey] == "" {
			return field.ErrorList{field.Required(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), "")}
		}
	case corev1.SecretTypeDockercfg:
		return append(need(corev1.DockerConfigKey), isJSON(data, s.Data, corev1.DockerConfigKey)...)
	case corev1.SecretTypeDockerConfigJson:
		return append(need(corev1.DockerConfigJsonKey), isJSON(data, s.Data, corev1.DockerConfigJsonKey)...)
	case corev1.SecretTypeBasicAuth:
		if !has(corev1.BasicAuthUsernameKey) && !has(corev1.BasicAuthPasswordKey) {
			return need(corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
		}
	case corev1.SecretTypeSSHAuth:
		if len(s.Data[corev1.SSHAuthPrivateKey]) == 0 {
			return field.ErrorList{field.Required(data.Key(corev1.SSHAuthPrivateKey), "")}
		}
	case corev1.SecretTypeTLS:
		return need(corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	return nil
}

// isJSON validates what is there; that it is there is another question. The
// value is a secret and so is no part of the error.
func isJSON(fldPath *field.Path, data map[string][]byte, key string) field.ErrorList {
	b, ok := data[key]
	if !ok {
		return nil
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		return field.ErrorList{field.Invalid(fldPath.Key(key), "<secret contents redacted>", err.Error())}
	}
	return nil
}

// ValidateSecretUpdate validates an update of a Secret.
func ValidateSecretUpdate(s, old *corev1.Secret) field.ErrorList {
	errs := check.ObjectMetaUpdate(&s.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, check.Unchanged(field.NewPath("type"), s.Type, old.Type)...)
	errs = append(errs, frozen(s.Immutable, old.Immutable, map[string]bool{"data": reflect.DeepEqual(s.Data, old.Data)})...)
	return append(errs, ValidateSecret(s)...)
}

// ValidateServiceAccount validates a new ServiceAccount.
func ValidateServiceAccount(sa *corev1.ServiceAccount) field.ErrorList {
	return check.ObjectMeta(&sa.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
}

// ValidateServiceAccountUpdate validates an update of a ServiceAccount.
func ValidateServiceAccountUpdate(sa, old *corev1.ServiceAccount) field.ErrorList {
	return append(check.ObjectMetaUpdate(&sa.ObjectMeta, &old.ObjectMeta), ValidateServiceAccount(sa)...)
}
