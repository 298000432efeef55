package pod

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis/core"
	corepod "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
)

// bindingStorage gives a pod its node, once.
type bindingStorage struct {
	store *genericregistry.Store
	clock clock.PassiveClock
}

// NewBinder serves bindings of the pods in store by name: the subresource
// binding of a pod, and what POST to /bindings comes down to.
func NewBinder(store *genericregistry.Store, clk clock.PassiveClock) rest.NamedCreater {
	return &bindingStorage{store: store, clock: clk}
}

// New implements rest.Storage.
func (s *bindingStorage) New() runtime.Object { return &corev1.Binding{} }

// Destroy implements rest.Storage.
func (s *bindingStorage) Destroy() {}

// Create implements rest.NamedCreater.
func (s *bindingStorage) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	b, ok := obj.(*corev1.Binding)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Binding object: %#v", obj))
	}
	if name != b.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Binding object")
	}
	if errs := pods.ValidatePodBinding(b); len(errs) > 0 {
		return nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Binding").GroupKind(), b.Name, errs)
	}
	if validate != nil {
		if err := validate(ctx, b.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	if err := s.bind(ctx, b, dryrun.IsDryRun(o.DryRun)); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// PreservesSubresourceObjectMeta keeps uid and resourceVersion of the Binding,
// which are preconditions on the pod.
func (s *bindingStorage) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

func (s *bindingStorage) bind(ctx context.Context, b *corev1.Binding, dryRun bool) error {
	key, err := s.store.KeyFunc(ctx, b.Name)
	if err != nil {
		return err
	}
	var preconditions *storage.Preconditions
	if b.UID != "" || b.ResourceVersion != "" {
		preconditions = &storage.Preconditions{}
		if b.UID != "" {
			preconditions.UID = &b.UID
		}
		if b.ResourceVersion != "" {
			preconditions.ResourceVersion = &b.ResourceVersion
		}
	}
	err = s.store.Storage.GuaranteedUpdate(ctx, key, &corev1.Pod{}, false, preconditions, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		p, ok := obj.(*corev1.Pod)
		if !ok {
			return nil, fmt.Errorf("binding a pod: got %T", obj)
		}
		if err := bindable(p); err != nil {
			return nil, err
		}
		p.Spec.NodeName = b.Target.Name
		p.Status.NominatedNodeName = "" // was a hint until now
		p.Annotations = merged(p.Annotations, b.Annotations)
		core.DropInitContainerAnnotations(p.Annotations)
		p.Labels = merged(p.Labels, b.Labels)
		corepod.UpdateCondition(&p.Status, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, s.clock.Now())
		return p, nil
	}), dryRun, nil)
	if err == nil {
		return nil
	}
	resource := schema.GroupResource{Resource: "pods"}
	err = storeerr.InterpretUpdateError(storeerr.InterpretGetError(err, resource, b.Name), resource, b.Name)
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		err = apierrors.NewConflict(schema.GroupResource{Resource: "pods/binding"}, b.Name, err)
	}
	return err
}

func bindable(p *corev1.Pod) error {
	switch {
	case p.DeletionTimestamp != nil:
		return fmt.Errorf("pod %s is being deleted, cannot be assigned to a host", p.Name)
	case p.Spec.NodeName != "":
		return fmt.Errorf("pod %v is already assigned to node %q", p.Name, p.Spec.NodeName)
	case len(p.Spec.SchedulingGates) > 0:
		return fmt.Errorf("pod %v has non-empty .spec.schedulingGates", p.Name)
	}
	return nil
}

func merged(to, from map[string]string) map[string]string {
	if len(from) == 0 {
		return to
	}
	if to == nil {
		to = map[string]string{}
	}
	maps.Copy(to, from)
	return to
}
