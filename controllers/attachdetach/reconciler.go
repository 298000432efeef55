package attachdetach

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "persistentvolume-attach-detach-controller"

// Reconciler attaches to one node what its pods need.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	clock    clock.PassiveClock
	recorder record.EventRecorder
	forced   *prometheus.CounterVec

	mu sync.Mutex
	// since and told are by node: when detaching was first wanted, and the last
	// events. Both are rebuilt after a restart.
	since map[string]map[string]time.Time
	told  map[string]map[string]bool
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, live: d.Live, clock: d.Clock, recorder: d.Recorder("attachdetach-controller"), forced: newForced(), since: map[string]map[string]time.Time{}, told: map[string]map[string]bool{}}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	o, err := r.observe(ctx, req.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	p := planNode(o, r.clock.Now())
	r.remember(req.Name, p)
	if err := r.apply(ctx, o, p); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: p.after}, nil
}

func (r *Reconciler) observe(ctx context.Context, name string) (observed, error) {
	o := observed{name: name}
	var node corev1.Node
	switch err := r.client.Get(ctx, types.NamespacedName{Name: name}, &node); {
	case err == nil:
		o.node = &node
	case !apierrors.IsNotFound(err):
		return o, fmt.Errorf("reading node %s: %w", name, err)
	}
	var attachments storagev1.VolumeAttachmentList
	if err := r.client.List(ctx, &attachments, client.MatchingFields{index.AttachmentNode: name}); err != nil {
		return o, fmt.Errorf("listing attachments of node %s: %w", name, err)
	}
	for i := range attachments.Items {
		a := &attachments.Items[i]
		pv, err := r.volume(ctx, ptr.Deref(a.Spec.Source.PersistentVolumeName, ""))
		if err != nil {
			return o, err
		}
		if ours(a, pv) {
			o.attachments = append(o.attachments, attachment{a, pv})
		}
	}
	var err error
	if o.wants, err = r.wants(ctx, name); err != nil {
		return o, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o.since = r.since[name]
	return o, nil
}

// wants returns the volumes that pods of a node need attached.
func (r *Reconciler) wants(ctx context.Context, node string) ([]want, error) {
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.MatchingFields{index.PodNode: node}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing pods of node %s: %w", node, err)
	}
	byVolume := map[string]*want{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if over(pod) {
			continue
		}
		volumes, err := r.volumesOf(ctx, pod)
		if err != nil {
			return nil, err
		}
		for _, pv := range volumes {
			if byVolume[pv.Name] == nil {
				byVolume[pv.Name] = &want{volume: pv}
			}
			byVolume[pv.Name].pods = append(byVolume[pv.Name].pods, pod)
		}
	}
	wants := make([]want, 0, len(byVolume))
	for _, w := range byVolume {
		if err := r.findElsewhere(ctx, node, w); err != nil {
			return nil, err
		}
		wants = append(wants, *w)
	}
	slices.SortFunc(wants, func(a, b want) int { return strings.Compare(a.volume.Name, b.volume.Name) })
	return wants, nil
}

// volumesOf returns the volumes of a pod that drivers have to attach.
func (r *Reconciler) volumesOf(ctx context.Context, pod *corev1.Pod) ([]*corev1.PersistentVolume, error) {
	var volumes []*corev1.PersistentVolume
	for _, name := range index.ByVolumeClaim(pod) {
		pv, err := r.boundVolume(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: name})
		if err != nil {
			return nil, err
		}
		if pv == nil || pv.Spec.CSI == nil {
			continue
		}
		var driver storagev1.CSIDriver
		err = r.client.Get(ctx, types.NamespacedName{Name: pv.Spec.CSI.Driver}, &driver, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading driver %s: %w", pv.Spec.CSI.Driver, err)
		}
		// A driver without a CSIDriver object attaches.
		if err != nil || ptr.Deref(driver.Spec.AttachRequired, true) {
			volumes = append(volumes, pv)
		}
	}
	return volumes, nil
}

// boundVolume returns nil unless claim and volume are bound to each other.
func (r *Reconciler) boundVolume(ctx context.Context, key types.NamespacedName) (*corev1.PersistentVolume, error) {
	var claim corev1.PersistentVolumeClaim
	if err := r.client.Get(ctx, key, &claim, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading claim %s: %w", key, err)
	}
	if claim.Status.Phase != corev1.ClaimBound || claim.Spec.VolumeName == "" {
		return nil, nil
	}
	pv, err := r.volume(ctx, claim.Spec.VolumeName)
	if err != nil || pv == nil || pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != claim.UID {
		return nil, err
	}
	return pv, nil
}

func (r *Reconciler) volume(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	if name == "" {
		return nil, nil
	}
	var pv corev1.PersistentVolume
	err := r.client.Get(ctx, types.NamespacedName{Name: name}, &pv, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading volume %s: %w", name, err)
	}
	return &pv, nil
}

// findElsewhere looks for what keeps an exclusive volume from this node.
func (r *Reconciler) findElsewhere(ctx context.Context, node string, w *want) error {
	if !exclusive(w.volume) {
		return nil
	}
	var attachments storagev1.VolumeAttachmentList
	if err := r.client.List(ctx, &attachments, client.MatchingFields{index.AttachmentVolume: w.volume.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing attachments of volume %s: %w", w.volume.Name, err)
	}
	nodes := map[string]bool{}
	for i := range attachments.Items {
		if a := &attachments.Items[i]; a.Spec.NodeName != node && ours(a, w.volume) {
			nodes[a.Spec.NodeName] = true
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	w.elsewhere = true
	ref := w.volume.Spec.ClaimRef
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(ref.Namespace), client.MatchingFields{index.PodVolumeClaim: ref.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing pods of claim %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	for i := range pods.Items {
		if pod := &pods.Items[i]; nodes[pod.Spec.NodeName] && !over(pod) {
			w.others = append(w.others, pod)
		}
	}
	return nil
}

// remember keeps what the next plan needs, and sends pods' new events.
func (r *Reconciler) remember(node string, p plan) {
	told := map[string]bool{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range p.notes {
		for _, pod := range n.pods {
			key := strings.Join([]string{n.key, string(pod.UID), n.reason, n.text, n.when}, "\x00")
			if told[key] = true; !r.told[node][key] {
				r.recorder.Event(pod, n.eventType, n.reason, n.text)
			}
		}
	}
	if r.told[node] = told; len(told) == 0 {
		delete(r.told, node)
	}
	if r.since[node] = p.since; len(p.since) == 0 {
		delete(r.since, node)
	}
}

func (r *Reconciler) apply(ctx context.Context, o observed, p plan) error {
	if p.changed {
		before := o.node.DeepCopy()
		o.node.Status.VolumesAttached = p.report
		if err := r.client.Status().Patch(ctx, o.node, client.StrategicMergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reporting volumes of node %s: %w", o.name, err)
		}
	}
	for _, a := range p.detach {
		if err := r.client.Delete(ctx, a, client.Preconditions{UID: &a.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("detaching by %s from node %s: %w", a.Name, o.name, err)
		}
	}
	for _, why := range p.forced {
		r.forced.WithLabelValues(why).Inc()
	}
	for _, a := range p.attach {
		if a.exclusive {
			there, err := r.isElsewhere(ctx, a.object)
			if err != nil {
				return err
			}
			if there { // the cache will show it
				continue
			}
		}
		if err := r.client.Create(ctx, a.object); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("attaching by %s to node %s: %w", a.object.Name, o.name, err)
		}
	}
	return nil
}

// isElsewhere asks the API server whether a volume is attached to another node.
func (r *Reconciler) isElsewhere(ctx context.Context, wanted *storagev1.VolumeAttachment) (bool, error) {
	var all storagev1.VolumeAttachmentList
	if err := r.live.List(ctx, &all); err != nil {
		return false, fmt.Errorf("listing attachments: %w", err)
	}
	return slices.ContainsFunc(all.Items, func(a storagev1.VolumeAttachment) bool {
		return a.Spec.NodeName != wanted.Spec.NodeName && madeHere.MatchString(a.Name) &&
			ptr.Equal(a.Spec.Source.PersistentVolumeName, wanted.Spec.Source.PersistentVolumeName)
	}), nil
}
