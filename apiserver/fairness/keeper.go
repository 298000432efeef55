package fairness

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	informers "k8s.io/client-go/informers/flowcontrol/v1"
	flowcontrolclient "k8s.io/client-go/kubernetes/typed/flowcontrol/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apis/flowcontrol"
)

// keeper stores the objects that every server has, and restores them when a
// user deletes or changes them.
type keeper struct {
	client  flowcontrolclient.FlowcontrolV1Interface
	schemas informers.FlowSchemaInformer
	levels  informers.PriorityLevelConfigurationInformer
	changed chan struct{} // holds one
}

// manager is upstream's field manager for these objects.
const manager = "api-priority-and-fairness-config-producer-v1"

// retry is how long after a failure the objects are looked at again.
const retry = time.Second

func newKeeper(c flowcontrolclient.FlowcontrolV1Interface, i informers.Interface) *keeper {
	return &keeper{client: c, schemas: i.FlowSchemas(), levels: i.PriorityLevelConfigurations(), changed: make(chan struct{}, 1)}
}

func (k *keeper) handler() cache.ResourceEventHandler {
	wake := func() {
		select {
		case k.changed <- struct{}{}:
		default:
		}
	}
	return cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(any, any) { wake() },
		DeleteFunc: func(any) { wake() },
	}
}

// run keeps the objects until ctx is done; it calls done after each success.
func (k *keeper) run(ctx context.Context, done func()) {
	if !cache.WaitForCacheSync(ctx.Done(), k.schemas.Informer().HasSynced, k.levels.Informer().HasSynced) {
		return
	}
	for ctx.Err() == nil {
		again := time.NewTimer(retry)
		if k.ensure(ctx) == nil {
			done()
			again.Stop()
		}
		select {
		case <-ctx.Done():
		case <-k.changed:
		case <-again.C:
		}
		again.Stop()
	}
}

// ensure writes suggested objects, then mandatory ones, and deletes those of
// older versions that are neither.
func (k *keeper) ensure(ctx context.Context) error {
	levels := kind[*flowcontrolv1.PriorityLevelConfiguration]{k.client.PriorityLevelConfigurations(), k.levels.Lister(), withLevelSpec}
	schemas := kind[*flowcontrolv1.FlowSchema]{k.client.FlowSchemas(), k.schemas.Lister(), withSchemaSpec}
	return errors.Join(
		levels.ensure(ctx, bootstrap.SuggestedPriorityLevelConfigurations, false),
		schemas.ensure(ctx, bootstrap.SuggestedFlowSchemas, false),
		levels.ensure(ctx, bootstrap.MandatoryPriorityLevelConfigurations, true),
		schemas.ensure(ctx, bootstrap.MandatoryFlowSchemas, true),
		schemas.prune(ctx, bootstrap.SuggestedFlowSchemas, bootstrap.MandatoryFlowSchemas),
		levels.prune(ctx, bootstrap.SuggestedPriorityLevelConfigurations, bootstrap.MandatoryPriorityLevelConfigurations),
	)
}

// object is a FlowSchema or PriorityLevelConfiguration.
type object interface {
	comparable
	metav1.Object
}

// kind reads and writes one of the two kinds.
type kind[T object] struct {
	client interface {
		Create(context.Context, T, metav1.CreateOptions) (T, error)
		Update(context.Context, T, metav1.UpdateOptions) (T, error)
		Delete(context.Context, string, metav1.DeleteOptions) error
	}
	lister interface {
		List(labels.Selector) ([]T, error)
		Get(string) (T, error)
	}
	// with returns a copy of current with the spec of wanted, after defaults,
	// and whether that is another one than before.
	with func(current, wanted T) (T, bool)
}

func withLevelSpec(current, wanted *flowcontrolv1.PriorityLevelConfiguration) (*flowcontrolv1.PriorityLevelConfiguration, bool) {
	revised, wanted := current.DeepCopy(), wanted.DeepCopy()
	flowcontrol.SetDefaultsPriorityLevelConfiguration(wanted)
	revised.Spec = wanted.Spec
	if wanted.Name == flowcontrolv1.PriorityLevelConfigurationNameExempt {
		// The administrator sets how much it lends.
		revised.Spec.Exempt = current.Spec.Exempt
	}
	return revised, !apiequality.Semantic.DeepEqual(revised.Spec, current.Spec)
}

func withSchemaSpec(current, wanted *flowcontrolv1.FlowSchema) (*flowcontrolv1.FlowSchema, bool) {
	revised, wanted := current.DeepCopy(), wanted.DeepCopy()
	flowcontrol.SetDefaultsFlowSchema(wanted)
	revised.Spec = wanted.Spec
	return revised, !apiequality.Semantic.DeepEqual(revised.Spec, current.Spec)
}

func (k kind[T]) ensure(ctx context.Context, wanted []T, mandatory bool) error {
	for _, w := range wanted {
		current, err := k.lister.Get(w.GetName())
		if apierrors.IsNotFound(err) {
			_, err = k.client.Create(ctx, w, metav1.CreateOptions{FieldManager: manager})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("creating %T %s: %w", w, w.GetName(), err)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("reading %T %s: %w", w, w.GetName(), err)
		}
		revised, ok := k.revise(current, w, mandatory)
		if !ok {
			continue
		}
		if _, err := k.client.Update(ctx, revised, metav1.UpdateOptions{FieldManager: manager}); err != nil && !apierrors.IsConflict(err) {
			return fmt.Errorf("updating %T %s: %w", w, w.GetName(), err)
		}
	}
	return nil
}

// revise returns what current should become, and whether that is a change. Suggested
// objects follow wanted until a user opts out: by the annotation, or by changing the spec.
func (k kind[T]) revise(current, wanted T, mandatory bool) (T, bool) {
	note, err := strconv.ParseBool(current.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey])
	follows := mandatory || err == nil && note || err != nil && current.GetGeneration() == 1
	revised, changed := k.with(current, wanted)
	if !follows {
		revised, _ = k.with(current, current)
		changed = false
	}
	if err != nil || note != follows {
		changed = true
		notes := map[string]string{}
		for key, value := range revised.GetAnnotations() {
			notes[key] = value
		}
		notes[flowcontrolv1.AutoUpdateAnnotationKey] = strconv.FormatBool(follows)
		revised.SetAnnotations(notes)
	}
	return revised, changed
}

func (k kind[T]) prune(ctx context.Context, known ...[]T) error {
	names := map[string]bool{}
	for _, list := range known {
		for _, o := range list {
			names[o.GetName()] = true
		}
	}
	all, err := k.lister.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing the objects of API priority and fairness: %w", err)
	}
	for _, o := range all {
		ours, err := strconv.ParseBool(o.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey])
		if err != nil || !ours || names[o.GetName()] {
			continue
		}
		uid := o.GetUID()
		err = k.client.Delete(ctx, o.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting %T %s: %w", o, o.GetName(), err)
		}
	}
	return nil
}
