package persistentvolume

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	volumes "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/storage"
)

// preResizeAnnotation is the size of the file system of a volume that was grown.
const preResizeAnnotation = "volume.alpha.kubernetes.io/pre-resize-capacity"

// note is an Event to emit.
type note struct{ eventType, reason, message string }

func normal(reason, message string) *note { return &note{corev1.EventTypeNormal, reason, message} }
func warn(reason, message string) *note   { return &note{corev1.EventTypeWarning, reason, message} }

// claimPlan holds the writes for a claim; at most one of bind, class and provisioner is set.
type claimPlan struct {
	// bind the claim to this volume.
	bind *corev1.PersistentVolume
	// class to give to the claim, the default one.
	class string
	// provisioner to ask for a volume.
	provisioner string
	// phase to set, if it is another one.
	phase corev1.PersistentVolumeClaimPhase
	note  *note
}

// observed holds the objects that a claim is compared with.
type observed struct {
	// volume by name, nil if there is none.
	volume func(name string) *corev1.PersistentVolume
	// volumes are all of them; asked for once at most.
	volumes func() []*corev1.PersistentVolume
	// class by name, nil if there is none.
	class func(name string) *storagev1.StorageClass
	// defaultClass is the name of the default class, or "".
	defaultClass func() string
	// consumers are the names of pods without a node that use the claim.
	consumers func() []string
}

func planClaim(c *corev1.PersistentVolumeClaim, o observed) (claimPlan, error) {
	if _, done := c.Annotations[volumes.AnnBindCompleted]; done {
		return planBound(c, o), nil
	}
	if c.Spec.VolumeName != "" {
		return planRequested(c, o), nil
	}
	return planUnbound(c, o)
}

// planBound keeps a claim that was bound before.
func planBound(c *corev1.PersistentVolumeClaim, o observed) claimPlan {
	lost := func(reason, message string) claimPlan {
		p := claimPlan{phase: corev1.ClaimLost}
		if c.Status.Phase != corev1.ClaimLost {
			p.note = warn(reason, message)
		}
		return p
	}
	if c.Spec.VolumeName == "" {
		return lost("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
	}
	pv := o.volume(c.Spec.VolumeName)
	switch {
	case pv == nil:
		return lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
	case pv.Spec.ClaimRef != nil && pv.Spec.ClaimRef.UID != c.UID:
		return lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
	}
	return claimPlan{bind: pv}
}

// planRequested plans for a claim that asks for a certain volume.
func planRequested(c *corev1.PersistentVolumeClaim, o observed) claimPlan {
	pending := claimPlan{phase: corev1.ClaimPending}
	pv := o.volume(c.Spec.VolumeName)
	switch {
	case pv == nil:
	case pv.Spec.ClaimRef == nil:
		err := satisfies(pv, c)
		if err == nil {
			return claimPlan{bind: pv}
		}
		pending.note = warn("VolumeMismatch", fmt.Sprintf("Cannot bind to requested volume %q: %s", pv.Name, err))
	case volumes.IsVolumeBoundToClaim(pv, c):
		return claimPlan{bind: pv}
	default:
		pending.note = warn("FailedBinding", fmt.Sprintf("volume %q already bound to a different claim.", pv.Name))
	}
	return pending
}

// satisfies returns why a volume that a claim names cannot be bound to it, nil if it can.
func satisfies(pv *corev1.PersistentVolume, c *corev1.PersistentVolumeClaim) error {
	want, have := c.Spec.Resources.Requests[corev1.ResourceStorage], pv.Spec.Capacity[corev1.ResourceStorage]
	switch {
	case pv.DeletionTimestamp != nil:
		return fmt.Errorf("the volume is marked for deletion %q", pv.Name)
	case have.Value() < want.Value():
		return errors.New("requested PV is too small")
	case volumes.GetPersistentVolumeClass(pv) != volumes.GetPersistentVolumeClaimClass(c):
		return errors.New("storageClassName does not match")
	case ptr.Deref(c.Spec.VolumeAttributesClassName, "") != ptr.Deref(pv.Spec.VolumeAttributesClassName, ""):
		return errors.New("volumeAttributesClassName does not match")
	case volumes.CheckVolumeModeMismatches(&c.Spec, &pv.Spec):
		return errors.New("incompatible volumeMode")
	case !volumes.CheckAccessModes(c, pv):
		return errors.New("incompatible accessMode")
	}
	return nil
}

// planUnbound finds a volume, or a provisioner that makes one.
func planUnbound(c *corev1.PersistentVolumeClaim, o observed) (claimPlan, error) {
	name := volumes.GetPersistentVolumeClaimClass(c)
	var class *storagev1.StorageClass
	if name != "" {
		class = o.class(name)
	}
	delay := class != nil && ptr.Deref(class.VolumeBindingMode, storagev1.VolumeBindingImmediate) == storagev1.VolumeBindingWaitForFirstConsumer
	pv, err := match(c, o.volumes(), delay)
	if err != nil {
		return claimPlan{}, err
	}
	if pv != nil {
		return claimPlan{bind: pv}, nil
	}
	if !volumes.PersistentVolumeClaimHasClass(c) {
		if name := o.defaultClass(); name != "" {
			return claimPlan{class: name}, nil
		}
	}
	p := claimPlan{phase: corev1.ClaimPending}
	switch {
	case delay && !volumes.IsDelayBindingProvisioning(c):
		p.note = waits(o.consumers())
	case name == "":
		p.note = normal("FailedBinding", "no persistent volumes available for this claim and no storage class is set")
	case class == nil:
		p.note = warn("ProvisioningFailed", fmt.Sprintf("storageclass.storage.k8s.io %q not found", name))
	case strings.HasPrefix(class.Provisioner, "kubernetes.io/") && storage.CSIDriver(class.Provisioner) == "":
		p.note = warn("ProvisioningFailed", fmt.Sprintf("no volume plugin matched name: %s", class.Provisioner))
	default:
		p.provisioner = cmp.Or(storage.CSIDriver(class.Provisioner), class.Provisioner)
		p.note = normal("ExternalProvisioning", fmt.Sprintf("Waiting for a volume to be created either by the external provisioner '%s' "+
			"or manually by the system administrator. If volume creation is delayed, please verify that "+
			"the provisioner is running and correctly registered.", p.provisioner))
	}
	return p, nil
}

// waits returns the event about what a claim waits for that is bound with its first pod.
func waits(pods []string) *note {
	switch len(pods) {
	case 0:
		return normal("WaitForFirstConsumer", "waiting for first consumer to be created before binding")
	case 1:
		return normal("WaitForPodScheduled", fmt.Sprintf("waiting for pod %s to be scheduled", pods[0]))
	}
	// One of them is scheduled first; it is not known which.
	return normal("WaitForPodScheduled", fmt.Sprintf("waiting for pods %s to be scheduled", strings.Join(pods, ",")))
}

// match finds the volume that was meant for the claim, or else the smallest of
// those with the fewest access modes beyond those asked for. A claim that waits
// for a consumer gets only what was meant for it.
func match(c *corev1.PersistentVolumeClaim, all []*corev1.PersistentVolume, delay bool) (*corev1.PersistentVolume, error) {
	byModes := map[int][]*corev1.PersistentVolume{}
	for _, pv := range all {
		if volumes.CheckAccessModes(c, pv) {
			n := len(pv.Spec.AccessModes)
			byModes[n] = append(byModes[n], pv)
		}
	}
	var counts []int
	for n := range byModes {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	// Volumes reserved for the claim go before those that only fit.
	for _, n := range counts {
		for _, pv := range byModes[n] {
			if pv.Spec.ClaimRef == nil || !volumes.IsVolumeBoundToClaim(pv, c) {
				continue
			}
			if found, err := volumes.FindMatchingVolume(c, []*corev1.PersistentVolume{pv}, nil, nil, delay, true); err != nil || found != nil {
				return found, err
			}
		}
	}
	for _, n := range counts {
		if found, err := volumes.FindMatchingVolume(c, byModes[n], nil, nil, delay, true); err != nil || found != nil {
			return found, err
		}
	}
	return nil, nil
}

// boundClaim returns the claim bound to pv: with its name and annotations, and
// apart from that with its status.
func boundClaim(c *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) (spec, status *corev1.PersistentVolumeClaim) {
	spec = c.DeepCopy()
	if spec.Annotations == nil {
		spec.Annotations = map[string]string{}
	}
	if spec.Spec.VolumeName != pv.Name {
		spec.Spec.VolumeName = pv.Name
		spec.Annotations[volumes.AnnBoundByController] = "yes"
	}
	if _, ok := spec.Annotations[volumes.AnnBindCompleted]; !ok {
		spec.Annotations[volumes.AnnBindCompleted] = "yes"
	}
	status = spec.DeepCopy()
	s := &status.Status
	s.AccessModes = pv.Spec.AccessModes
	// A claim that is bound already grows by resizing, not by a look at its volume.
	if s.Phase != corev1.ClaimBound || s.Capacity == nil {
		s.Capacity = corev1.ResourceList{corev1.ResourceStorage: pv.Spec.Capacity[corev1.ResourceStorage]}
		// A file system that is yet to grow into its volume has the old size.
		if before, err := resource.ParseQuantity(pv.Annotations[preResizeAnnotation]); err == nil {
			s.Capacity[corev1.ResourceStorage] = before
		}
		if n := pv.Spec.VolumeAttributesClassName; ptr.Deref(n, "") != "" {
			s.CurrentVolumeAttributesClassName = ptr.To(*n)
		}
	}
	s.Phase = corev1.ClaimBound
	return spec, status
}
