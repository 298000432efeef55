// Package storagemigration installs and validates the group
// storagemigration.k8s.io: requests to store all objects of a resource again.
//
// The API of this package is not stable: see docs/api.md.
package storagemigration

import (
	"fmt"
	"strings"

	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	storagemigrationv1beta1 "k8s.io/api/storagemigration/v1beta1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers storagemigration.k8s.io/v1 and its hub, and v1beta1, in s.
func Install(s *runtime.Scheme) error {
	if err := storagemigrationv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", storagemigrationv1.SchemeGroupVersion, err)
	}
	if err := hub.Add(s, storagemigrationv1.SchemeGroupVersion); err != nil {
		return err
	}
	return hub.AddVersion(s, storagemigrationv1beta1.SchemeGroupVersion, []runtime.Object{
		&storagemigrationv1beta1.StorageVersionMigration{}, &storagemigrationv1beta1.StorageVersionMigrationList{},
	})
}

var metaPath, specPath = field.NewPath("metadata"), field.NewPath("spec")

// ValidateStorageVersionMigration validates a new migration.
func ValidateStorageVersionMigration(m *storagemigrationv1.StorageVersionMigration) field.ErrorList {
	errs := validation.ValidateObjectMeta(&m.ObjectMeta, false, validation.NameIsDNSSubdomain, metaPath)
	r, path := m.Spec.Resource, specPath.Child("resource")
	if r.Resource == "" {
		errs = append(errs, field.Required(path.Child("resource"), "resource is required to be set"))
	} else if msgs := utilvalidation.IsDNS1035Label(r.Resource); len(msgs) > 0 {
		errs = append(errs, field.Invalid(path.Child("resource"), r.Resource, strings.Join(msgs, ",")))
	}
	if msgs := utilvalidation.IsDNS1123Subdomain(r.Group); r.Group != "" && len(msgs) > 0 {
		errs = append(errs, field.Invalid(path.Child("group"), r.Group, strings.Join(msgs, ",")))
	}
	return errs
}

// ValidateStorageVersionMigrationUpdate validates a changed migration, whose spec stays.
func ValidateStorageVersionMigrationUpdate(m, old *storagemigrationv1.StorageVersionMigration) field.ErrorList {
	errs := append(ValidateStorageVersionMigration(m), validation.ValidateObjectMetaUpdate(&m.ObjectMeta, &old.ObjectMeta, metaPath)...)
	if !equality.Semantic.DeepEqual(m.Spec, old.Spec) {
		errs = append(errs, field.Invalid(specPath, hub.Internal(m.Spec), validation.FieldImmutableErrorMsg))
	}
	return errs
}

// ValidateStorageVersionMigrationStatusUpdate validates progress: it ends once.
func ValidateStorageVersionMigrationStatusUpdate(m, old *storagemigrationv1.StorageVersionMigration) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&m.ObjectMeta, &old.ObjectMeta, metaPath)
	version, conditions := field.NewPath("status", "resourceVersion"), field.NewPath("status", "conditions")
	if rv := m.Status.ResourceVersion; rv != "" {
		if _, err := resourceversion.CompareResourceVersion(rv, rv); err != nil {
			errs = append(errs, field.Invalid(version, rv, err.Error()))
		}
	}
	errs = append(errs, metav1validation.ValidateConditions(m.Status.Conditions, conditions)...)
	if was := old.Status.ResourceVersion; was != "" && was != m.Status.ResourceVersion {
		errs = append(errs, field.Invalid(version, m.Status.ResourceVersion, "field is immutable"))
	}
	ended := func(of *storagemigrationv1.StorageVersionMigration, as storagemigrationv1.MigrationConditionType) bool {
		return meta.IsStatusConditionTrue(of.Status.Conditions, string(as))
	}
	const succeeded, failed = storagemigrationv1.MigrationSucceeded, storagemigrationv1.MigrationFailed
	if ended(m, succeeded) && ended(m, failed) {
		errs = append(errs, field.Invalid(conditions, m.Status.Conditions, "Both success and failed conditions cannot be true at the same time"))
	}
	if ended(old, succeeded) && !ended(m, succeeded) {
		errs = append(errs, field.Invalid(conditions, m.Status.Conditions, "Success condition cannot be set to false once it is true"))
	}
	if ended(old, failed) && !ended(m, failed) {
		errs = append(errs, field.Invalid(conditions, m.Status.Conditions, "Failed condition cannot be set to false once it is true"))
	}
	return errs
}
