package coordination

import (
	"github.com/blang/semver/v4"
	coordinationv1 "k8s.io/api/coordination/v1"
	coordinationv1beta1 "k8s.io/api/coordination/v1beta1"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateLeaseCandidate validates a new LeaseCandidate.
func ValidateLeaseCandidate(c *coordinationv1beta1.LeaseCandidate) field.ErrorList {
	name := func(name string, _ bool) []string { return utilvalidation.IsConfigMapKey(name) }
	errs := validation.ValidateObjectMeta(&c.ObjectMeta, true, name, field.NewPath("metadata"))
	return append(errs, validateCandidateSpec(&c.Spec, field.NewPath("spec"))...)
}

// ValidateLeaseCandidateUpdate validates a changed LeaseCandidate, which stays one for
// the same Lease.
func ValidateLeaseCandidateUpdate(c, old *coordinationv1beta1.LeaseCandidate) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validation.ValidateObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	errs = append(errs, validateCandidateSpec(&c.Spec, spec)...)
	return append(errs, validation.ValidateImmutableField(c.Spec.LeaseName, old.Spec.LeaseName, spec.Child("leaseName"))...)
}

func validateCandidateSpec(spec *coordinationv1beta1.LeaseCandidateSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.LeaseName == "" {
		errs = append(errs, field.Required(path.Child("leaseName"), ""))
	}
	parse := func(text, name string) semver.Version {
		v, err := semver.Parse(text)
		if err != nil {
			errs = append(errs, field.Invalid(path.Child(name), text, "must be a valid semantic version"))
		}
		return v
	}
	var emulated, binary semver.Version
	if spec.EmulationVersion != "" {
		emulated = parse(spec.EmulationVersion, "emulationVersion")
	}
	if spec.BinaryVersion == "" {
		errs = append(errs, field.Required(path.Child("binaryVersion"), ""))
	} else if binary = parse(spec.BinaryVersion, "binaryVersion"); spec.EmulationVersion != "" && binary.LT(emulated) {
		errs = append(errs, field.Invalid(path.Child("binaryVersion"), spec.BinaryVersion, "must be greater than or equal to `emulationVersion`"))
	}
	if spec.Strategy == "" {
		return append(errs, field.Required(path.Child("strategy"), ""))
	}
	if spec.Strategy == coordinationv1.OldestEmulationVersion && emulated.EQ(semver.Version{}) {
		errs = append(errs, field.Required(path.Child("emulationVersion"), "must be specified when `strategy` is 'OldestEmulationVersion'"))
	}
	return append(errs, validateStrategy(spec.Strategy, path.Child("strategy"))...)
}
