// Package nodelease renews a node's Lease, which shows the control plane that the node lives. See
// https://kubernetes.io/docs/concepts/architecture/leases/#node-heart-beats.
//
// The API of this package is not stable: see docs/api.md.
package nodelease

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Lease is one node's lease. Only its holder writes it, so the last version
// written is updated without reading. It is not for concurrent use.
type Lease struct {
	// Node is the node's name, which the lease shares.
	Node string
	// Duration is the lease's duration, in whole seconds.
	Duration time.Duration

	last *coordinationv1.Lease
}

// Adopt takes over a lease that is stored, so that the first renewal updates it.
// One that does not belong to the node object of that uid is left to Renew.
func (l *Lease) Adopt(stored *coordinationv1.Lease, uid types.UID) {
	if s := stored.Spec; s.HolderIdentity == nil || *s.HolderIdentity != l.Node || s.LeaseDurationSeconds == nil || *s.LeaseDurationSeconds != l.seconds() {
		return
	}
	for _, o := range stored.OwnerReferences {
		if o.UID == uid {
			l.last = stored.DeepCopy()
		}
	}
}

func (l *Lease) seconds() int32 { return int32(l.Duration / time.Second) }

// Renew writes the lease with the given time, making it if there is none. uid is
// the node object's, which owns the lease.
func (l *Lease) Renew(ctx context.Context, c client.Client, uid types.UID, now time.Time) error {
	renewed := metav1.NewMicroTime(now)
	if l.last != nil {
		lease := l.last.DeepCopy()
		lease.Spec.RenewTime = &renewed
		err := c.Update(ctx, lease)
		if err == nil {
			l.last = lease
			return nil
		}
		l.last = nil
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("renewing lease of node %s: %w", l.Node, err)
		}
	}
	seconds := l.seconds()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: l.Node, Namespace: corev1.NamespaceNodeLease,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: l.Node, UID: uid}},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &l.Node, LeaseDurationSeconds: &seconds, RenewTime: &renewed},
	}
	err := c.Create(ctx, lease)
	if apierrors.IsAlreadyExists(err) {
		err = c.Patch(ctx, lease, client.RawPatch(types.MergePatchType, l.patch(uid, seconds, renewed)))
	}
	if err != nil {
		return fmt.Errorf("creating lease of node %s: %w", l.Node, err)
	}
	l.last = lease
	return nil
}

func (l *Lease) patch(uid types.UID, seconds int32, now metav1.MicroTime) []byte {
	return fmt.Appendf(nil, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":%q,"uid":%q}]},`+
		`"spec":{"holderIdentity":%q,"leaseDurationSeconds":%d,"renewTime":%q}}`,
		l.Node, uid, l.Node, seconds, now.UTC().Format(metav1.RFC3339Micro))
}
