package resourceclaim

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/dynamic-resource-allocation/resourceclaim"
)

// observed holds what has been read of a pod's claims.
type observed struct {
	pod *corev1.Pod
	// claims that the pod owns or names, by name.
	claims map[string]*resourcev1.ResourceClaim
	// templates that the pod names, by name.
	templates map[string]*resourcev1.ResourceClaimTemplate
}

// podActions are done in this order.
type podActions struct {
	create []*resourcev1.ResourceClaim
	// statuses are those of the pod, sorted by name; nil if they are right.
	statuses []corev1.PodResourceClaimStatus
	// reserve are claims whose list of consumers lacks the pod.
	reserve []*resourcev1.ResourceClaim
	// failed is the error of a claim that cannot be made now.
	failed error
}

func planPod(o observed) podActions {
	var a podActions
	if o.pod.DeletionTimestamp != nil {
		return a
	}
	made := map[string]string{}
	for i := range o.pod.Spec.ResourceClaims {
		c := &o.pod.Spec.ResourceClaims[i]
		name, create, err := o.claimFor(c)
		if err != nil {
			a.failed = fmt.Errorf("PodResourceClaim %s: %w", c.Name, err)
			break
		}
		if create != nil {
			a.create = append(a.create, create)
		}
		if name != "" {
			made[c.Name] = name
		}
	}
	a.statuses = merge(o.pod.Status.ResourceClaimStatuses, made)
	a.reserve = o.unreserved()
	return a
}

// claimFor finds or makes the claim that the pod's status does not name yet.
func (o observed) claimFor(c *corev1.PodResourceClaim) (name string, create *resourcev1.ResourceClaim, err error) {
	named, owned, err := resourceclaim.Name(o.pod, c)
	switch {
	case errors.Is(err, resourceclaim.ErrClaimNotFound):
	case err != nil:
		return "", nil, fmt.Errorf("checking for claim before creating it: %w", err)
	case named == nil:
		return "", nil, nil
	default:
		if claim := o.claims[*named]; claim != nil && (!owned || resourceclaim.IsForPod(o.pod, claim, false) == nil) {
			return "", nil, nil
		}
	}
	if c.ResourceClaimTemplateName == nil {
		return "", nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(o.claims)) {
		claim := o.claims[name]
		if metav1.IsControlledBy(claim, o.pod) && claim.Annotations[resourcev1.PodResourceClaimAnnotation] == c.Name {
			return name, nil, nil
		}
	}
	template := o.templates[*c.ResourceClaimTemplateName]
	if template == nil {
		missing := apierrors.NewNotFound(resourcev1.Resource("resourceclaimtemplate"), *c.ResourceClaimTemplateName)
		return "", nil, fmt.Errorf("resource claim template %q: %w", *c.ResourceClaimTemplateName, missing)
	}
	create = fromTemplate(o.pod, c.Name, template)
	return create.Name, create, nil
}

func fromTemplate(pod *corev1.Pod, name string, template *resourcev1.ResourceClaimTemplate) *resourcev1.ResourceClaim {
	template = template.DeepCopy()
	claim := &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, GenerateName: prefix(pod.Name, name), Labels: template.Spec.Labels, Annotations: template.Spec.Annotations,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: new(true)}},
		},
		Spec: template.Spec.Spec,
	}
	if claim.Annotations == nil {
		claim.Annotations = map[string]string{}
	}
	claim.Annotations[resourcev1.PodResourceClaimAnnotation] = name
	sum := sha256.Sum256([]byte(string(pod.UID) + "/" + name))
	claim.Name = claim.GenerateName + rand.SafeEncodeString(fmt.Sprintf("%x", sum))[:5]
	return claim
}

// maxPrefix leaves room for a hyphen and five characters in a name of 63.
const maxPrefix = 57

// prefix has parts of both names even if they are long.
func prefix(pod, claim string) string {
	full := pod + "-" + claim + "-"
	if n := len(full); n > maxPrefix {
		full = strings.TrimRight(pod[:len(pod)*maxPrefix/n], ".-") + "-" + claim[:len(claim)*maxPrefix/n]
	}
	return full
}

// merge returns nil if there is nothing new.
func merge(was []corev1.PodResourceClaimStatus, made map[string]string) []corev1.PodResourceClaimStatus {
	if len(made) == 0 {
		return nil
	}
	all := map[string]corev1.PodResourceClaimStatus{}
	for _, s := range was {
		all[s.Name] = s
	}
	for name, claim := range made {
		all[name] = corev1.PodResourceClaimStatus{Name: name, ResourceClaimName: &claim}
	}
	var sorted []corev1.PodResourceClaimStatus
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[name])
	}
	return sorted
}

// unreserved returns the allocated claims of a pod that did not pass the
// scheduler, with the pod as a consumer.
func (o observed) unreserved() []*resourcev1.ResourceClaim {
	if o.pod.Spec.NodeName == "" || done(o.pod) {
		return nil
	}
	var all []*resourcev1.ResourceClaim
	for i := range o.pod.Spec.ResourceClaims {
		name, owned, err := resourceclaim.Name(o.pod, &o.pod.Spec.ResourceClaims[i])
		if err != nil || name == nil {
			continue
		}
		claim := o.claims[*name]
		if claim == nil || claim.Status.Allocation == nil || resourceclaim.IsReservedForPod(o.pod, claim, false) ||
			owned && resourceclaim.IsForPod(o.pod, claim, false) != nil {
			continue
		}
		claim = claim.DeepCopy()
		claim.Status.ReservedFor = append(claim.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: o.pod.Name, UID: o.pod.UID})
		all = append(all, claim)
	}
	return all
}

// done reports whether no container of the pod runs, nor ever will.
func done(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed ||
		pod.DeletionTimestamp != nil && pod.Spec.NodeName == ""
}
