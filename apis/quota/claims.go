package quota

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
)

var claimsResource = corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims")

const (
	countClaims = corev1.ResourceName("count/persistentvolumeclaims")
	// classSuffix separates a storage class from what is limited of it:
	// gold.storageclass.storage.k8s.io/requests.storage.
	classSuffix = ".storageclass.storage.k8s.io/"
)

func newClaims(list List) quotav1.Evaluator {
	return &evaluator{
		resource: claimsResource.GroupResource(),
		list:     list.of(claimsResource),
		limits:   limitsClaims,
		inScope:  claimInScope,
		handles:  changesClaim,
		usage: func(o runtime.Object) (corev1.ResourceList, error) {
			c, err := as[*corev1.PersistentVolumeClaim](o)
			if err != nil {
				return nil, err
			}
			return ClaimUsage(c), nil
		},
	}
}

// changesClaim reports whether a request may change what a claim uses: a claim
// can grow, and its status decides over the storage and the attributes classes
// that are charged.
func changesClaim(a admission.Attributes) bool {
	if a.GetSubresource() != "status" {
		return createOrUpdate(a)
	}
	c, err := as[*corev1.PersistentVolumeClaim](a.GetObject())
	if err != nil {
		return false
	}
	old, err := as[*corev1.PersistentVolumeClaim](a.GetOldObject())
	return err == nil && ChangesClaim(old, c)
}

// ChangesClaim reports whether an update of a claim changes what it is charged
// for or the scopes that it is in.
func ChangesClaim(old, c *corev1.PersistentVolumeClaim) bool {
	was, is := AttributesClasses(old), AttributesClasses(c)
	slices.Sort(was)
	slices.Sort(is)
	return !slices.Equal(was, is) || !quotav1.Equals(ClaimUsage(old), ClaimUsage(c))
}

func limitsClaims(r corev1.ResourceName) bool {
	switch r {
	case countClaims, corev1.ResourcePersistentVolumeClaims, corev1.ResourceRequestsStorage:
		return true
	}
	_, of, ok := strings.Cut(string(r), classSuffix)
	return ok && (of == string(corev1.ResourceRequestsStorage) || of == string(corev1.ResourcePersistentVolumeClaims))
}

// ClaimUsage returns what a claim uses: of storage the larger of what it asks
// for and what it was given room for, so that a request cannot be shrunk to
// make room in a quota while the volume stays large.
func ClaimUsage(c *corev1.PersistentVolumeClaim) corev1.ResourceList {
	one := *resource.NewQuantity(1, resource.DecimalSI)
	usage := corev1.ResourceList{countClaims: one, corev1.ResourcePersistentVolumeClaims: one}
	class := storageClass(c)
	if class != "" {
		usage[corev1.ResourceName(class+classSuffix)+corev1.ResourcePersistentVolumeClaims] = one
	}
	storage, ok := c.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return usage
	}
	if allocated, ok := c.Status.AllocatedResources[corev1.ResourceStorage]; ok && allocated.Cmp(storage) > 0 {
		storage = allocated
	}
	// A quota's status holds whole bytes only, https://issue.k8s.io/94313.
	storage = storage.DeepCopy()
	storage.RoundUp(0)
	usage[corev1.ResourceRequestsStorage] = storage
	if class != "" {
		usage[corev1.ResourceName(class+classSuffix)+corev1.ResourceRequestsStorage] = storage
	}
	return usage
}

// storageClass prefers the annotation that was there before the field.
func storageClass(c *corev1.PersistentVolumeClaim) string {
	if class, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return class
	}
	if c.Spec.StorageClassName != nil {
		return *c.Spec.StorageClassName
	}
	return ""
}

// claimInScope matches the attributes classes that a claim asks for or has.
func claimInScope(s requirement, item runtime.Object) (bool, error) {
	c, err := as[*corev1.PersistentVolumeClaim](item)
	if err != nil || s.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass {
		return false, err
	}
	classes := AttributesClasses(c)
	if s.Operator == corev1.ScopeSelectorOpExists {
		return len(classes) > 0, nil
	}
	if len(classes) == 0 {
		return selects(s, "")
	}
	for _, class := range classes {
		if ok, err := selects(s, class); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// AttributesClasses returns the attributes classes that a claim asks for, has,
// or is being given, which decide the scopes it is in.
func AttributesClasses(c *corev1.PersistentVolumeClaim) []string {
	var classes []string
	add := func(class *string) {
		if class != nil && *class != "" && !slices.Contains(classes, *class) {
			classes = append(classes, *class)
		}
	}
	add(c.Spec.VolumeAttributesClassName)
	add(c.Status.CurrentVolumeAttributesClassName)
	if m := c.Status.ModifyVolumeStatus; m != nil {
		add(&m.TargetVolumeAttributesClassName)
	}
	return classes
}
