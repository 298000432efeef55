package apiserverinternal

import (
	"fmt"
	"slices"
	"strings"

	internalv1alpha1 "k8s.io/api/apiserverinternal/v1alpha1"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateStorageVersion validates a new StorageVersion.
func ValidateStorageVersion(v *internalv1alpha1.StorageVersion) field.ErrorList {
	errs := validation.ValidateObjectMeta(&v.ObjectMeta, false, validateName, field.NewPath("metadata"))
	return append(errs, validateStatus(&v.Status, field.NewPath("status"))...)
}

// ValidateStorageVersionUpdate takes every change: the spec is empty.
func ValidateStorageVersionUpdate(_, _ *internalv1alpha1.StorageVersion) field.ErrorList { return nil }

// ValidateStorageVersionStatusUpdate validates what servers report.
func ValidateStorageVersionStatusUpdate(v, _ *internalv1alpha1.StorageVersion) field.ErrorList {
	return validateStatus(&v.Status, field.NewPath("status"))
}

func validateName(name string, _ bool) []string {
	i := strings.LastIndex(name, ".")
	if i < 0 {
		return []string{"name must be in the form of <group>.<resource>"}
	}
	return append(prefixed("the group segment ", utilvalidation.IsDNS1123Subdomain(name[:i])),
		prefixed("the resource segment ", utilvalidation.IsDNS1035Label(name[i+1:]))...)
}

func prefixed(prefix string, messages []string) []string {
	for i := range messages {
		messages[i] = prefix + messages[i]
	}
	return messages
}

func validateStatus(s *internalv1alpha1.StorageVersionStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, v := range s.StorageVersions {
		at := path.Child("storageVersions").Index(i)
		if seen[v.APIServerID] {
			errs = append(errs, field.Duplicate(at.Child("apiServerID"), v.APIServerID))
		}
		seen[v.APIServerID] = true
		errs = append(errs, validateServer(&v, at)...)
	}
	errs = append(errs, validateCommonVersion(s, path.Child("commonEncodingVersion"))...)
	return append(errs, validateConditions(s.Conditions, path)...)
}

func validateServer(v *internalv1alpha1.ServerStorageVersion, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range validation.NameIsDNSSubdomain(v.APIServerID, false) {
		errs = append(errs, field.Invalid(path.Child("apiServerID"), v.APIServerID, msg))
	}
	check := func(version string, at *field.Path) {
		if msgs := invalidVersion(version); len(msgs) > 0 {
			errs = append(errs, field.Invalid(at, version, strings.Join(msgs, ",")))
		}
	}
	check(v.EncodingVersion, path.Child("encodingVersion"))
	decodable, served := path.Child("decodableVersions"), path.Child("servedVersions")
	for i, version := range v.DecodableVersions {
		check(version, decodable.Index(i))
	}
	if !slices.Contains(v.DecodableVersions, v.EncodingVersion) {
		errs = append(errs, field.Invalid(decodable, v.DecodableVersions, "decodableVersions must include encodingVersion "+v.EncodingVersion))
	}
	for i, version := range v.ServedVersions {
		check(version, served.Index(i))
		if !slices.Contains(v.DecodableVersions, version) {
			errs = append(errs, field.Invalid(served.Index(i), version,
				fmt.Sprintf("individual served version : %s must be included in decodableVersions : %s", version, v.DecodableVersions)))
		}
	}
	return errs
}

// validateCommonVersion wants the version that all servers encode in, if they agree.
func validateCommonVersion(s *internalv1alpha1.StorageVersionStatus, path *field.Path) field.ErrorList {
	var common *string
	for i, v := range s.StorageVersions {
		if i == 0 {
			common = &v.EncodingVersion
		} else if v.EncodingVersion != *common {
			common = nil
			break
		}
	}
	switch said := s.CommonEncodingVersion; {
	case common == nil && said != nil:
		return field.ErrorList{field.Invalid(path, *said,
			"should be nil if servers do not agree on the same encoding version, or if there is no server reporting the supported versions yet")}
	case common != nil && said == nil:
		return field.ErrorList{field.Invalid(path, said, "the common encoding version is "+*common)}
	case common != nil && *common != *said:
		return field.ErrorList{field.Invalid(path, *said, "the actual common encoding version is "+*common)}
	}
	return nil
}

// validateConditions names them status[i], as upstream.
func validateConditions(conditions []internalv1alpha1.StorageVersionCondition, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[internalv1alpha1.StorageVersionConditionType]int{}
	for i, c := range conditions {
		at := path.Index(i)
		if first, ok := seen[c.Type]; ok {
			errs = append(errs, field.Invalid(at.Child("type"), string(c.Type),
				fmt.Sprintf("the type of the condition is not unique, it also appears in conditions[%d]", first)))
		}
		seen[c.Type] = i
		for _, name := range []struct{ field, value string }{{"type", string(c.Type)}, {"status", string(c.Status)}} {
			for _, msg := range utilvalidation.IsQualifiedName(name.value) {
				errs = append(errs, field.Invalid(at.Child(name.field), name.value, msg))
			}
		}
		if c.Reason == "" {
			errs = append(errs, field.Required(at.Child("reason"), ""))
		}
		if c.Message == "" {
			errs = append(errs, field.Required(at.Child("message"), ""))
		}
	}
	return errs
}

// invalidVersion returns what is wrong with an apiVersion.
func invalidVersion(apiVersion string) []string {
	group, version, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		group, version = "", apiVersion
	}
	if strings.Contains(version, "/") {
		return []string{"an apiVersion is " + utilvalidation.RegexError(
			"a DNS-1035 label, which must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
			"[a-z]([-a-z0-9]*[a-z0-9])?", "my-name", "abc-123") + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyVersion')"}
	}
	var errs []string
	if grouped && group == "" {
		errs = append(errs, "group part: "+utilvalidation.EmptyError())
	} else if grouped {
		errs = append(errs, prefixed("group part: ", utilvalidation.IsDNS1123Subdomain(group))...)
	}
	if version == "" {
		return append(errs, "version part: "+utilvalidation.EmptyError())
	}
	return append(errs, prefixed("version part: ", utilvalidation.IsDNS1035Label(version))...)
}
