package localpath

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	volumes "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name.
const Name = "local-path-provisioner"

// Host makes and removes the directories of volumes.
type Host interface {
	// Make makes a directory that every user may write to, on the named node.
	// It does nothing where the node has no directories or does it itself.
	Make(node, path string) error
	// Remove removes it with its contents, where there are any; it returns false
	// if the node is out of reach.
	Remove(node, path string) (bool, error)
}

// Config holds the dependencies and settings of the provisioner. All fields are required.
type Config struct {
	Host Host
	// Dir is the absolute path below which volumes are made, on every node. It
	// ends in Class.
	Dir string
	// Removers is set if other servers may have nodes, each with a Remover.
	Removers bool
}

// Reconciler provisions for one claim, or deletes one volume: a request with a
// namespace is a claim, one without is a volume.
type Reconciler struct {
	config   Config
	client   client.Client
	clock    clock.Clock
	recorder record.EventRecorder
}

// New returns a Reconciler.
func New(d controllers.Deps, c Config) *Reconciler {
	return &Reconciler{config: c, client: d.Client, clock: d.Clock, recorder: d.Recorder(Provisioner)}
}

func onNode(o client.Object) bool {
	pod, ok := o.(*corev1.Pod)
	return ok && pod.Spec.NodeName != ""
}

func claimsOf(_ context.Context, o client.Object) []reconcile.Request {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for _, name := range index.ByVolumeClaim(pod) {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: pod.Namespace, Name: name}})
	}
	return requests
}

// claimsOfClass returns the claims of a class of this provisioner: they may have
// been there first, or be allowed to grow only now.
func (r *Reconciler) claimsOfClass(ctx context.Context, o client.Object) []reconcile.Request {
	class, ok := o.(*storagev1.StorageClass)
	if !ok || class.Provisioner != Provisioner {
		return nil
	}
	var claims corev1.PersistentVolumeClaimList
	if err := r.client.List(ctx, &claims, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the claims of a class", "class", class.Name)
		return nil
	}
	var requests []reconcile.Request
	for i := range claims.Items {
		if c := &claims.Items[i]; volumes.GetPersistentVolumeClaimClass(c) == class.Name {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(c)})
		}
	}
	return requests
}

// conflictRetry is how long the cache gets to learn of a write.
const conflictRetry = 20 * time.Millisecond

// classRetry is how long after a failure the class is made again.
const classRetry = time.Second

// makeClass runs until there is a class, and ends with ctx.
func (r *Reconciler) makeClass(ctx context.Context) error {
	for {
		err := r.client.Create(ctx, defaultClass())
		if err == nil || apierrors.IsAlreadyExists(err) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.clock.After(classRetry):
		}
	}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var err error
	if req.Namespace == "" {
		err = r.delete(ctx, req.Name)
	} else {
		err = r.provision(ctx, req.NamespacedName)
	}
	if apierrors.IsConflict(err) { // another client was quicker; the cache will show it
		return reconcile.Result{RequeueAfter: conflictRetry}, nil
	}
	return reconcile.Result{}, err
}

func (r *Reconciler) provision(ctx context.Context, key types.NamespacedName) error {
	var claim corev1.PersistentVolumeClaim
	if err := r.client.Get(ctx, key, &claim); err != nil {
		return client.IgnoreNotFound(err)
	}
	if claim.Spec.VolumeName != "" {
		return r.grow(ctx, &claim)
	}
	name := volumes.GetPersistentVolumeClaimClass(&claim)
	if name == "" {
		return nil
	}
	var class storagev1.StorageClass
	if err := r.client.Get(ctx, types.NamespacedName{Name: name}, &class); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !mine(&claim, &class) {
		return nil
	}
	node := claim.Annotations[volumes.AnnSelectedNode]
	if node == "" {
		return r.selectNode(ctx, &claim)
	}
	if claim.Annotations[volumes.AnnStorageProvisioner] != Provisioner {
		return nil // the binder may know of a volume
	}
	return r.makeVolume(ctx, &claim, &class, node)
}

// selectNode gives the claim the node of its first pod, if no scheduler did.
func (r *Reconciler) selectNode(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(claim.Namespace), client.MatchingFields{index.PodVolumeClaim: claim.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	node := consumer(pods.Items)
	if node == "" {
		return nil
	}
	if claim.Annotations == nil {
		claim.Annotations = map[string]string{}
	}
	claim.Annotations[volumes.AnnSelectedNode] = node
	if err := r.client.Update(ctx, claim); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("selecting a node for claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

func (r *Reconciler) makeVolume(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, name string) error {
	fail := func(err error) error {
		r.recorder.Eventf(claim, corev1.EventTypeWarning, "ProvisioningFailed", "failed to provision volume with StorageClass %q: %v", class.Name, err)
		return err
	}
	if why := refusal(claim); why != "" {
		_ = fail(fmt.Errorf("%s", why))
		return nil
	}
	var node corev1.Node
	if err := r.client.Get(ctx, types.NamespacedName{Name: name}, &node); err != nil {
		if apierrors.IsNotFound(err) { // the scheduler will find another one
			delete(claim.Annotations, volumes.AnnSelectedNode)
			return r.client.Update(ctx, claim)
		}
		return fail(fmt.Errorf("reading the selected node %s: %w", name, err))
	}
	pv := volume(claim, class, &node, r.config.Dir)
	var there corev1.PersistentVolume
	if err := r.client.Get(ctx, types.NamespacedName{Name: pv.Name}, &there); !apierrors.IsNotFound(err) {
		return err
	}
	if err := r.config.Host.Make(node.Name, pv.Spec.HostPath.Path); err != nil {
		return fail(fmt.Errorf("making the directory of volume %s: %w", pv.Name, err))
	}
	if err := r.client.Create(ctx, pv); err != nil && !apierrors.IsAlreadyExists(err) {
		return fail(fmt.Errorf("creating volume %s: %w", pv.Name, err))
	}
	r.recorder.Eventf(claim, corev1.EventTypeNormal, "ProvisioningSucceeded", "Successfully provisioned volume %s", pv.Name)
	return nil
}

func (r *Reconciler) delete(ctx context.Context, name string) error {
	var pv corev1.PersistentVolume
	if err := r.client.Get(ctx, types.NamespacedName{Name: name}, &pv); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !released(&pv) {
		return nil
	}
	node := pv.Annotations[volumes.AnnSelectedNode]
	reached, err := r.config.Host.Remove(node, pv.Spec.HostPath.Path)
	if err == nil && reached {
		return forget(ctx, r.client, &pv)
	}
	if err == nil && pv.Status.Phase == corev1.VolumeFailed {
		return nil // its status has the reason already
	}
	if err == nil && r.config.Removers {
		var there corev1.Node
		if err := r.client.Get(ctx, types.NamespacedName{Name: node}, &there); err == nil && onServer(&there) {
			return nil
		}
	}
	if err == nil {
		err = fmt.Errorf("its data are in %s on node %s, which runs in another process: delete them there, and then the volume", pv.Spec.HostPath.Path, node)
	}
	r.recorder.Event(&pv, corev1.EventTypeWarning, "VolumeFailedDelete", err.Error())
	pv.Status.Phase, pv.Status.Message, pv.Status.LastPhaseTransitionTime = corev1.VolumeFailed, err.Error(), nil
	return r.client.Status().Update(ctx, &pv)
}

// forget deletes a volume whose data are gone.
func forget(ctx context.Context, c client.Client, pv *corev1.PersistentVolume) error {
	if err := c.Delete(ctx, pv, client.Preconditions{UID: &pv.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting volume %s: %w", pv.Name, err)
	}
	return nil
}
