package attachdetach

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
)

// drainTimeout is how long a node that is not ready may keep a volume.
const drainTimeout = 6 * time.Minute

// The reasons for detaching a volume that may be mounted; label values of the metrics.
const (
	forcedTimeout      = "timeout"
	forcedOutOfService = "out-of-service"
)

// observed holds the state of one node.
type observed struct {
	name string
	// node is nil if it is gone.
	node *corev1.Node
	// wants are volumes that have to be attached, by name, for pods of the node.
	wants []want
	// attachments are the node's.
	attachments []attachment
	// since is when detaching was first wanted, by name of attachment.
	since map[string]time.Time
}

// want is a volume and pods that use it.
type want struct {
	volume *corev1.PersistentVolume
	pods   []*corev1.Pod
	// elsewhere are other nodes that it is attached to, and pods it has there.
	elsewhere bool
	others    []*corev1.Pod
}

// attachment is one with its volume, nil if that is gone.
type attachment struct {
	*storagev1.VolumeAttachment
	volume *corev1.PersistentVolume
}

// note is an Event for pods. It is sent when it is new: once while plans have
// the same text under the same key.
type note struct {
	pods                               []*corev1.Pod
	key, eventType, reason, text, when string
}

// plan holds the actions on a node, in this order.
type plan struct {
	// report replaces status.volumesAttached if changed.
	report  []corev1.AttachedVolume
	changed bool
	detach  []*storagev1.VolumeAttachment
	// forced holds the reason of each detach of a volume that may still be mounted.
	forced []string
	attach []newAttachment
	notes  []note
	// since is for the next observation.
	since map[string]time.Time
	// after is when to look again, if not zero.
	after time.Duration
}

type newAttachment struct {
	object *storagev1.VolumeAttachment
	// exclusive volumes may not be attached anywhere else.
	exclusive bool
}

func planNode(o observed, now time.Time) plan {
	p := plan{since: map[string]time.Time{}}
	there := map[string]attachment{}
	for _, a := range o.attachments {
		there[a.Name] = a
	}
	wanted := map[string]bool{}
	for _, w := range o.wants {
		name := attachmentName(w.volume, o.name)
		wanted[name] = true
		if a, ok := there[name]; ok {
			p.attached(o, w, a)
		} else {
			p.attachTo(o, w, name)
		}
	}
	for _, a := range o.attachments {
		if !wanted[a.Name] && a.DeletionTimestamp == nil {
			p.unwanted(o, a, now)
		}
	}
	slices.SortFunc(p.report, func(a, b corev1.AttachedVolume) int { return strings.Compare(string(a.Name), string(b.Name)) })
	p.changed = o.node != nil && !slices.Equal(p.report, o.node.Status.VolumesAttached)
	return p
}

// attached plans for a volume that has its attachment.
func (p *plan) attached(o observed, w want, a attachment) {
	switch {
	case a.DeletionTimestamp != nil: // it has to go before there can be a new one
		p.note(w, "attach", corev1.EventTypeWarning, "FailedAttachVolume", "AttachVolume.Attach failed", ": volume attachment is being deleted", string(a.UID))
	case a.Status.Attached:
		p.report = append(p.report, corev1.AttachedVolume{Name: uniqueName(w.volume)})
		if o.node != nil && !reported(o.node, w.volume) {
			p.note(w, "attach", corev1.EventTypeNormal, "SuccessfulAttachVolume", "AttachVolume.Attach succeeded", "", string(a.UID))
		}
	case a.Status.AttachError != nil:
		e := a.Status.AttachError
		p.note(w, "attach", corev1.EventTypeWarning, "FailedAttachVolume", "AttachVolume.Attach failed", ": "+e.Message, e.Time.String())
	}
}

// attachTo plans for a volume that has no attachment on the node.
func (p *plan) attachTo(o observed, w want, name string) {
	if o.node == nil || o.node.Annotations[managedAnnotation] != "true" {
		return
	}
	exclusive := exclusive(w.volume)
	if exclusive && w.elsewhere {
		p.multiAttach(w)
		return
	}
	p.attach = append(p.attach, newAttachment{exclusive: exclusive, object: &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: storagev1.VolumeAttachmentSpec{Attacher: w.volume.Spec.CSI.Driver, NodeName: o.name,
			Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To(w.volume.Name)}},
	}})
}

// multiAttach reports to each pod what keeps its volume: pods of its namespace
// by name, others by number only.
func (p *plan) multiAttach(w want) {
	warn := func(pods []*corev1.Pod, text string) {
		p.notes = append(p.notes, note{pods: pods, key: "attach " + w.volume.Name, eventType: corev1.EventTypeWarning, reason: "FailedAttachVolume",
			text: message("Waiting for detach", w.volume, text)})
	}
	if len(w.others) == 0 {
		warn(w.pods, "Volume is already exclusively attached to one node, waiting on detach before it can be attached to another node")
		return
	}
	for _, pod := range w.pods {
		var names []string
		for _, other := range w.others {
			if other.Namespace == pod.Namespace {
				names = append(names, other.Name)
			}
		}
		hidden := len(w.others) - len(names)
		text := fmt.Sprintf("Volume is already used by %d pod(s) in different namespaces", hidden)
		if len(names) > 0 {
			text = "Volume is already used by pod(s) " + strings.Join(names, ", ")
			if hidden > 0 {
				text += fmt.Sprintf(" and %d pod(s) in different namespaces", hidden)
			}
		}
		warn([]*corev1.Pod{pod}, text)
	}
}

func (p *plan) note(w want, key, eventType, reason, prefix, suffix, when string) {
	p.notes = append(p.notes, note{pods: w.pods, key: key + " " + w.volume.Name, eventType: eventType, reason: reason,
		text: message(prefix, w.volume, suffix), when: when})
}

// unwanted plans for an attachment that no pod of the node needs.
func (p *plan) unwanted(o observed, a attachment, now time.Time) {
	since, ok := o.since[a.Name]
	if !ok {
		since = now
	}
	wait := func() {
		p.since[a.Name] = since
		if a.volume != nil && o.node != nil && reported(o.node, a.volume) {
			p.report = append(p.report, corev1.AttachedVolume{Name: uniqueName(a.volume)})
		}
	}
	switch used := inUse(o.node, a.volume); {
	case used && outOfService(o.node):
		p.forced = append(p.forced, forcedOutOfService)
	case used:
		left := drainTimeout - now.Sub(since)
		if ready(o.node) {
			wait() // the node will report when it is done
			return
		}
		if left > 0 {
			wait()
			if p.after == 0 || left < p.after {
				p.after = left
			}
			return
		}
		p.forced = append(p.forced, forcedTimeout)
	}
	p.detach = append(p.detach, a.VolumeAttachment)
}

// inUse reports whether a node has a volume mounted, by its status. The mounts
// of a node that is gone are unknown: it counts as having them.
func inUse(node *corev1.Node, pv *corev1.PersistentVolume) bool {
	switch {
	case pv == nil:
		return false
	case node == nil:
		return true
	}
	return slices.Contains(node.Status.VolumesInUse, uniqueName(pv))
}

func reported(node *corev1.Node, pv *corev1.PersistentVolume) bool {
	return slices.ContainsFunc(node.Status.VolumesAttached, func(v corev1.AttachedVolume) bool { return v.Name == uniqueName(pv) })
}

func ready(node *corev1.Node) bool {
	return node != nil && nodeapi.IsReady(node)
}

func outOfService(node *corev1.Node) bool {
	return node != nil && slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
}

// exclusive reports whether one node at a time may have the volume. For one
// without access modes the driver decides.
func exclusive(pv *corev1.PersistentVolume) bool {
	return len(pv.Spec.AccessModes) > 0 && !slices.Contains(pv.Spec.AccessModes, corev1.ReadWriteMany) && !slices.Contains(pv.Spec.AccessModes, corev1.ReadOnlyMany)
}

// managedAnnotation is on nodes whose agent leaves attaching to this controller.
const managedAnnotation = "volumes.kubernetes.io/controller-managed-attach-detach"

// attachmentName returns the name of a VolumeAttachment; agents of nodes compute it, too.
func attachmentName(pv *corev1.PersistentVolume, node string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(pv.Spec.CSI.VolumeHandle+pv.Spec.CSI.Driver+node)))
}

var madeHere = regexp.MustCompile(`^csi-[0-9a-f]{64}$`)

// ours reports whether an attachment was made here, or would be.
func ours(a *storagev1.VolumeAttachment, pv *corev1.PersistentVolume) bool {
	if pv != nil && pv.Spec.CSI != nil {
		return a.Name == attachmentName(pv, a.Spec.NodeName)
	}
	return madeHere.MatchString(a.Name)
}

func uniqueName(pv *corev1.PersistentVolume) corev1.UniqueVolumeName {
	return corev1.UniqueVolumeName("kubernetes.io/csi/" + pv.Spec.CSI.Driver + "^" + pv.Spec.CSI.VolumeHandle)
}

// message has upstream's words, and its space at the end where there is no suffix.
func message(prefix string, pv *corev1.PersistentVolume, suffix string) string {
	return fmt.Sprintf("%s for volume %q %s", prefix, pv.Name, suffix)
}

// over reports whether a pod needs no volumes any more.
func over(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return true
	}
	running := func(statuses []corev1.ContainerStatus) bool {
		return slices.ContainsFunc(statuses, func(s corev1.ContainerStatus) bool { return s.State.Terminated == nil && s.State.Waiting == nil })
	}
	return pod.DeletionTimestamp != nil &&
		!running(pod.Status.InitContainerStatuses) && !running(pod.Status.ContainerStatuses) && !running(pod.Status.EphemeralContainerStatuses)
}
