package namespace

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
	"k8s.io/utils/clock"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// namespaceStorage deletes in two steps.
type namespaceStorage struct {
	registry.Wrapped
	clock clock.PassiveClock
}

// Delete marks the namespace the first time; afterwards it removes one that
// has no finalizers left, and answers with the waiting namespace otherwise.
func (s *namespaceStorage) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, o *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, err := s.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, false, err
	}
	ns := obj.(*corev1.Namespace)
	if o == nil {
		o = metav1.NewDeleteOptions(0)
	}
	if o.Preconditions == nil {
		o.Preconditions = &metav1.Preconditions{}
	}
	if o.Preconditions.UID == nil {
		o.Preconditions.UID = &ns.UID
	}
	if err := precondition(ns, o.Preconditions); err != nil {
		return nil, false, apierrors.NewConflict(schema.GroupResource{Resource: "namespaces"}, name, err)
	}
	switch {
	case ns.DeletionTimestamp.IsZero():
		out, err := s.terminate(ctx, name, validate, o)
		return out, false, err
	case len(ns.Spec.Finalizers) > 0:
		return ns, false, nil
	}
	return s.Store.Delete(ctx, name, validate, o)
}

// precondition reports what a deletion asks for and the namespace is not, in
// upstream's words.
func precondition(ns *corev1.Namespace, p *metav1.Preconditions) error {
	if *p.UID != ns.UID {
		return fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", *p.UID, ns.UID)
	}
	if p.ResourceVersion != nil && *p.ResourceVersion != ns.ResourceVersion {
		return fmt.Errorf("Precondition failed: ResourceVersion in precondition: %v, ResourceVersion in object meta: %v", *p.ResourceVersion, ns.ResourceVersion)
	}
	return nil
}

func (s *namespaceStorage) terminate(ctx context.Context, name string, validate rest.ValidateObjectFunc, o *metav1.DeleteOptions) (runtime.Object, error) {
	key, err := s.KeyFunc(ctx, name)
	if err != nil {
		return nil, err
	}
	out := &corev1.Namespace{}
	preconditions := &storage.Preconditions{UID: o.Preconditions.UID, ResourceVersion: o.Preconditions.ResourceVersion}
	err = s.Storage.GuaranteedUpdate(ctx, key, out, false, preconditions, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		ns, ok := obj.(*corev1.Namespace)
		if !ok {
			return nil, fmt.Errorf("marking a namespace for deletion: got %T", obj)
		}
		if err := validate(ctx, ns); err != nil {
			return nil, err
		}
		markTerminating(ns, metav1.NewTime(s.clock.Now()), o)
		return ns, nil
	}), dryrun.IsDryRun(o.DryRun), nil)
	if err != nil {
		resource := schema.GroupResource{Resource: "namespaces"}
		err = storeerr.InterpretUpdateError(storeerr.InterpretGetError(err, resource, name), resource, name)
		return nil, err
	}
	return out, nil
}

// markTerminating also records what shall become of dependents, as finalizers
// of the garbage collector.
func markTerminating(ns *corev1.Namespace, now metav1.Time, o *metav1.DeleteOptions) {
	if ns.DeletionTimestamp.IsZero() {
		ns.DeletionTimestamp = &now
	}
	ns.Status.Phase = corev1.NamespaceTerminating
	for finalizer, wanted := range map[string]func(*metav1.DeleteOptions, bool) bool{
		metav1.FinalizerOrphanDependents: orphans,
		metav1.FinalizerDeleteDependents: foreground,
	} {
		has := slices.Contains(ns.Finalizers, finalizer)
		switch want := wanted(o, has); {
		case want && !has:
			ns.Finalizers = append(ns.Finalizers, finalizer)
		case !want && has:
			ns.Finalizers = slices.DeleteFunc(ns.Finalizers, func(f string) bool { return f == finalizer })
		}
	}
}

func orphans(o *metav1.DeleteOptions, has bool) bool {
	if o.OrphanDependents != nil {
		return *o.OrphanDependents
	}
	if o.PropagationPolicy != nil {
		return *o.PropagationPolicy == metav1.DeletePropagationOrphan
	}
	return has
}

func foreground(o *metav1.DeleteOptions, has bool) bool {
	if o.OrphanDependents != nil {
		return !*o.OrphanDependents
	}
	if o.PropagationPolicy != nil {
		return *o.PropagationPolicy == metav1.DeletePropagationForeground
	}
	return has
}

// finalizeStorage changes spec.finalizers and nothing else; PUT only.
type finalizeStorage struct{ sub *registry.StatusStorage }

// New implements rest.Storage.
func (s finalizeStorage) New() runtime.Object { return s.sub.New() }

// Destroy implements rest.Storage.
func (s finalizeStorage) Destroy() {}

// Update implements rest.Updater.
func (s finalizeStorage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, forceCreate bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.sub.Update(ctx, name, info, create, update, forceCreate, o)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (s finalizeStorage) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.sub.GetResetFields()
}

type finalizeStrategy struct{ rest.RESTUpdateStrategy }

func (finalizeStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	ns, was := obj.(*corev1.Namespace), old.(*corev1.Namespace)
	ns.Status = was.Status
}

func (finalizeStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	ns := obj.(*corev1.Namespace)
	return append(corevalidation.ValidateNamespaceFinalizeUpdate(ns, old.(*corev1.Namespace)), registry.StandardFinalizers(ns)...)
}

func (finalizeStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (finalizeStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return map[fieldpath.APIVersion]*fieldpath.Set{"v1": fieldpath.NewSet(fieldpath.MakePathOrDie("status"))}
}
