package quota

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/dynamic-resource-allocation/deviceclass/extendedresourcecache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// extendedClaims charges claims to the quotas of the extended resources that
// their DeviceClasses stand for, so that a quota of requests.example.com/gpu holds
// however the devices are requested:
// https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#extended-resource.
type extendedClaims struct {
	list  List
	clock clock.PassiveClock
}

// limits reports whether a quota's resource is an extended resource of some
// DeviceClass. A quota whose classes cannot be listed applies: its charge fails then.
func (e extendedClaims) limits(r corev1.ResourceName) bool {
	name, ok := strings.CutPrefix(string(r), corev1.DefaultResourceRequestsPrefix)
	if !ok || !extended(corev1.ResourceName(name)) {
		return false
	}
	classes, err := e.classes()
	if err != nil {
		return true
	}
	return classes.GetDeviceClass(corev1.ResourceName(name)) != nil
}

func (e extendedClaims) classes() (*extendedresourcecache.ExtendedResourceCache, error) {
	objects, err := e.objects(resourcev1.SchemeGroupVersion.WithResource("deviceclasses"), "")
	if err != nil {
		return nil, err
	}
	classes := extendedresourcecache.NewExtendedResourceCache(klog.Logger{})
	for _, o := range objects {
		classes.OnAdd(o, true)
	}
	return classes, nil
}

func (e extendedClaims) objects(gvr schema.GroupVersionResource, namespace string) ([]runtime.Object, error) {
	objects, err := e.list.of(gvr)(namespace)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", gvr.Resource, err)
	}
	return objects, nil
}

// charge adds to usage what the claim uses of extended resources, less what its
// pod is charged for already.
func (e extendedClaims) charge(usage corev1.ResourceList, c *resourcev1.ResourceClaim) error {
	classes, err := e.classes()
	if err != nil {
		return err
	}
	var resources corev1.ResourceList
	for name, q := range usage {
		class, ok := strings.CutSuffix(string(name), corev1.ResourceClaimsPerClass)
		if !ok || class == "" {
			continue
		}
		if resources == nil {
			resources = corev1.ResourceList{}
		}
		resources[corev1.ResourceName(corev1.ResourceImplicitExtendedClaimsPerClass+class)] = q
		if r := classes.GetExtendedResource(class); r != "" {
			resources[corev1.ResourceName(corev1.DefaultResourceRequestsPrefix+r)] = q
		}
	}
	if len(resources) == 0 {
		return nil
	}
	pod, err := e.podUsage(c)
	if err != nil {
		return err
	}
	for name, q := range resources {
		left := q.DeepCopy()
		left.Sub(pod[name])
		if left.Sign() > 0 {
			usage[name] = left
		}
	}
	return nil
}

// podUsage returns the pod's charge for the extended resources that the scheduler
// requested by this claim, nil if it is no such claim. Any user may write the
// annotation, so the pod's status must name the claim, or, before the scheduler has
// written that, the claim must be the pod's oldest one.
func (e extendedClaims) podUsage(c *resourcev1.ResourceClaim) (corev1.ResourceList, error) {
	owner := metav1.GetControllerOfNoCopy(c)
	if c.Annotations[resourcev1.ExtendedResourceClaimAnnotation] != "true" || owner == nil || owner.Kind != "Pod" || owner.APIVersion != "v1" {
		return nil, nil
	}
	pod, err := e.pod(c.Namespace, owner)
	if pod == nil || err != nil {
		return nil, err
	}
	if status := pod.Status.ExtendedResourceClaimStatus; status != nil {
		if status.ResourceClaimName != c.Name {
			return nil, nil
		}
	} else if first, err := e.oldest(c, owner); !first || err != nil {
		return nil, err
	}
	return PodUsage(pod, e.clock.Now()), nil
}

func (e extendedClaims) pod(namespace string, owner *metav1.OwnerReference) (*corev1.Pod, error) {
	pods, err := e.objects(podsResource, namespace)
	if err != nil {
		return nil, err
	}
	for _, o := range pods {
		if pod, ok := o.(*corev1.Pod); ok && pod.Name == owner.Name && pod.UID == owner.UID {
			return pod, nil
		}
	}
	return nil, nil
}

// oldest reports whether none of the owner's other extended resource claims was
// created before c.
func (e extendedClaims) oldest(c *resourcev1.ResourceClaim, owner *metav1.OwnerReference) (bool, error) {
	claims, err := e.objects(resourceClaimsResource, c.Namespace)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(claims, func(o runtime.Object) bool {
		other, ok := o.(*resourcev1.ResourceClaim)
		if !ok || other.Annotations[resourcev1.ExtendedResourceClaimAnnotation] != "true" {
			return false
		}
		if by := metav1.GetControllerOfNoCopy(other); by == nil || by.UID != owner.UID {
			return false
		}
		order := other.CreationTimestamp.Compare(c.CreationTimestamp.Time)
		return order < 0 || order == 0 && other.Name < c.Name
	}), nil
}
