package core

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateConfigMap validates a new ConfigMap.
func ValidateConfigMap(c *corev1.ConfigMap) field.ErrorList {
	errs := objectMeta(&c.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	size := 0
	for _, k := range slices.Sorted(maps.Keys(c.Data)) {
		errs = append(errs, invalid(field.NewPath("data").Key(k), k, validation.IsConfigMapKey(k))...)
		if _, ok := c.BinaryData[k]; ok {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(k), k, "duplicate of key present in binaryData"))
		}
		size += len(c.Data[k])
	}
	for _, k := range slices.Sorted(maps.Keys(c.BinaryData)) {
		errs = append(errs, invalid(field.NewPath("binaryData").Key(k), k, validation.IsConfigMapKey(k))...)
		size += len(c.BinaryData[k])
	}
	if size > maxObjectLength {
		errs = append(errs, field.TooLong(field.NewPath(""), "", maxObjectLength))
	}
	return errs
}

// frozen says that an immutable object stays immutable and keeps its data.
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
	errs := objectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, frozen(c.Immutable, old.Immutable, map[string]bool{
		"data":       equality.Semantic.DeepEqual(c.Data, old.Data),
		"binaryData": equality.Semantic.DeepEqual(c.BinaryData, old.BinaryData),
	})...)
	return append(errs, ValidateConfigMap(c)...)
}

// ValidateSecret validates a new Secret: its keys, its size, and what its type asks for.
func ValidateSecret(s *corev1.Secret) field.ErrorList {
	errs := objectMeta(&s.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	data, size := field.NewPath("data"), 0
	for _, k := range slices.Sorted(maps.Keys(s.Data)) {
		errs = append(errs, invalid(data.Key(k), k, validation.IsConfigMapKey(k))...)
		size += len(s.Data[k])
	}
	if size > maxObjectLength {
		errs = append(errs, field.TooLong(data, "", maxObjectLength))
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
		return append(need(corev1.DockerConfigKey), isJSON(data.Key(corev1.DockerConfigKey), s.Data[corev1.DockerConfigKey])...)
	case corev1.SecretTypeDockerConfigJson:
		return append(need(corev1.DockerConfigJsonKey), isJSON(data.Key(corev1.DockerConfigJsonKey), s.Data[corev1.DockerConfigJsonKey])...)
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
func isJSON(fldPath *field.Path, b []byte) field.ErrorList {
	if b == nil {
		return nil
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		return field.ErrorList{field.Invalid(fldPath, "<secret contents redacted>", err.Error())}
	}
	return nil
}

// ValidateSecretUpdate validates an update of a Secret.
func ValidateSecretUpdate(s, old *corev1.Secret) field.ErrorList {
	errs := objectMetaUpdate(&s.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, unchanged(field.NewPath("type"), s.Type, old.Type)...)
	errs = append(errs, frozen(s.Immutable, old.Immutable, map[string]bool{"data": equality.Semantic.DeepEqual(s.Data, old.Data)})...)
	return append(errs, ValidateSecret(s)...)
}

// ValidateServiceAccount validates a new ServiceAccount.
func ValidateServiceAccount(sa *corev1.ServiceAccount) field.ErrorList {
	return objectMeta(&sa.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
}

// ValidateServiceAccountUpdate validates an update of a ServiceAccount.
func ValidateServiceAccountUpdate(sa, old *corev1.ServiceAccount) field.ErrorList {
	return append(objectMetaUpdate(&sa.ObjectMeta, &old.ObjectMeta), ValidateServiceAccount(sa)...)
}

// ValidateEndpoints validates a new Endpoints object.
func ValidateEndpoints(e *corev1.Endpoints) field.ErrorList {
	errs := objectMeta(&e.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	return append(errs, subsets(e, nil)...)
}

// ValidateEndpointsUpdate validates an update of an Endpoints object.
func ValidateEndpointsUpdate(e, old *corev1.Endpoints) field.ErrorList {
	errs := objectMetaUpdate(&e.ObjectMeta, &old.ObjectMeta)
	var ips []string
	for i := range old.Subsets {
		for _, list := range [][]corev1.EndpointAddress{old.Subsets[i].Addresses, old.Subsets[i].NotReadyAddresses} {
			for _, a := range list {
				ips = append(ips, a.IP)
			}
		}
	}
	if !equality.Semantic.DeepEqual(e.Subsets, old.Subsets) {
		errs = append(errs, subsets(e, ips)...)
	}
	return errs
}

func subsets(e *corev1.Endpoints, oldIPs []string) field.ErrorList {
	var errs field.ErrorList
	for i := range e.Subsets {
		s, at := &e.Subsets[i], field.NewPath("subsets").Index(i)
		if len(s.Addresses)+len(s.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(at, "must specify `addresses` or `notReadyAddresses`"))
		}
		for name, list := range map[string][]corev1.EndpointAddress{"addresses": s.Addresses, "notReadyAddresses": s.NotReadyAddresses} {
			for j := range list {
				errs = append(errs, endpointAddress(at.Child(name).Index(j), &list[j], oldIPs)...)
			}
		}
		for j := range s.Ports {
			errs = append(errs, endpointPort(at.Child("ports").Index(j), &s.Ports[j], len(s.Ports) > 1)...)
		}
	}
	return errs
}

func endpointAddress(fldPath *field.Path, a *corev1.EndpointAddress, old []string) field.ErrorList {
	errs := validation.IsValidIPForLegacyField(fldPath.Child("ip"), a.IP, true, old)
	if a.Hostname != "" {
		errs = append(errs, invalid(fldPath.Child("hostname"), a.Hostname, validation.IsDNS1123Label(a.Hostname))...)
	}
	if a.NodeName != nil {
		errs = append(errs, invalid(fldPath.Child("nodeName"), *a.NodeName, isSubdomain(*a.NodeName))...)
	}
	if len(errs) == 0 {
		errs = append(errs, notSpecialIP(fldPath.Child("ip"), a.IP)...)
	}
	return errs
}

func endpointPort(fldPath *field.Path, p *corev1.EndpointPort, many bool) field.ErrorList {
	var errs field.ErrorList
	if many && p.Name == "" {
		errs = append(errs, field.Required(fldPath.Child("name"), ""))
	} else if p.Name != "" {
		errs = append(errs, invalid(fldPath.Child("name"), p.Name, validation.IsDNS1123Label(p.Name))...)
	}
	errs = append(errs, invalid(fldPath.Child("port"), p.Port, validation.IsValidPortNum(int(p.Port)))...)
	errs = append(errs, requiredOneOf(fldPath.Child("protocol"), p.Protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)...)
	if p.AppProtocol != nil {
		errs = append(errs, invalid(fldPath.Child("appProtocol"), *p.AppProtocol, validation.IsQualifiedName(*p.AppProtocol))...)
	}
	return errs
}
