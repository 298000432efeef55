package pod

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/coracle-k8s/coracle/apis/core"
	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// partStrategy changes one part of the spec of a pod and nothing else.
type partStrategy struct {
	rest.RESTUpdateStrategy
	// prepare puts everything but the part back in p.
	prepare  func(p, old *corev1.Pod)
	validate func(p, old *corev1.Pod) field.ErrorList
}

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s partStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	p, was := obj.(*corev1.Pod), old.(*corev1.Pod)
	s.prepare(p, was)
	core.DropDisabledPodFields(&p.Spec, &was.Spec)
	if !equality.Semantic.DeepEqual(p.Spec, was.Spec) {
		p.Generation++
	}
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (s partStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return s.validate(obj.(*corev1.Pod), old.(*corev1.Pod))
}

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (s partStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// GetResetFields implements rest.ResetFieldsStrategy; see partStorage.
func (s partStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set { return nil }

// partStorage serves one part of the spec. Server-side apply owns nothing else.
type partStorage struct {
	sub   *registry.StatusStorage
	parts []*fieldpath.SetMatcher
}

// New returns an empty pod.
func (s *partStorage) New() runtime.Object { return s.sub.New() }

// Destroy does nothing: the store belongs to the pods.
func (s *partStorage) Destroy() {}

// Get returns the whole pod.
func (s *partStorage) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	return s.sub.Get(ctx, name, o)
}

// Update never creates.
func (s *partStorage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, _ bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.sub.Update(ctx, name, info, create, update, false, o)
}

// ConvertToTable shows the pod as the resource does.
func (s *partStorage) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return s.sub.ConvertToTable(ctx, obj, options)
}

// GetResetFieldsFilter implements rest.ResetFieldsFilterStrategy.
func (s *partStorage) GetResetFieldsFilter() map[fieldpath.APIVersion]fieldpath.Filter {
	return map[fieldpath.APIVersion]fieldpath.Filter{"v1": fieldpath.NewIncludeMatcherFilter(s.parts...)}
}

func newEphemeralContainers(store *genericregistry.Store) rest.Storage {
	s := partStrategy{RESTUpdateStrategy: store.UpdateStrategy, prepare: keepEphemeralContainers, validate: pods.ValidatePodEphemeralContainersUpdate}
	return &partStorage{registry.NewSubStorage(store, s), []*fieldpath.SetMatcher{fieldpath.MakePrefixMatcherOrDie("spec", "ephemeralContainers")}}
}

func newResize(store *genericregistry.Store) rest.Storage {
	s := partStrategy{RESTUpdateStrategy: store.UpdateStrategy, prepare: prepareResize, validate: pods.ValidatePodResize}
	var parts []*fieldpath.SetMatcher
	for _, list := range []string{"containers", "initContainers"} {
		for _, name := range []string{"resources", "resizePolicy"} {
			parts = append(parts, fieldpath.MakePrefixMatcherOrDie("spec", list, fieldpath.MatchAnyPathElement(), name))
		}
	}
	return &partStorage{registry.NewSubStorage(store, s), parts}
}

func keepEphemeralContainers(p, old *corev1.Pod) {
	list := p.Spec.EphemeralContainers
	old.Spec.DeepCopyInto(&p.Spec)
	old.Status.DeepCopyInto(&p.Status)
	metav1.ResetObjectMetaForStatus(p, old)
	p.Spec.EphemeralContainers = list
}

// prepareResize keeps resources and resize policies, container by container. When
// containers were added or removed, all of p is kept, for validation to refuse.
func prepareResize(p, old *corev1.Pod) {
	if len(p.Spec.Containers) == len(old.Spec.Containers) && len(p.Spec.InitContainers) == len(old.Spec.InitContainers) {
		resources := p.Spec.Resources
		spec := old.Spec.DeepCopy()
		spec.Containers = resized(spec.Containers, p.Spec.Containers)
		spec.InitContainers = resized(spec.InitContainers, p.Spec.InitContainers)
		spec.Resources = resources
		p.Spec = *spec
		old.Status.DeepCopyInto(&p.Status)
		metav1.ResetObjectMetaForStatus(p, old)
	}
	keepResources(p, old)
	core.SetPodResources(p)
}

// resized returns old with the resources of wanted, or wanted as it is if it has
// other containers.
func resized(old, wanted []corev1.Container) []corev1.Container {
	for i := range wanted {
		if old[i].Name != wanted[i].Name {
			return wanted
		}
		old[i].Resources, old[i].ResizePolicy = wanted[i].Resources, wanted[i].ResizePolicy
	}
	return old
}

// mergeLabelKeys turns matchLabelKeys and mismatchLabelKeys into selector
// requirements on the pod's own labels, so that schedulers need only selectors.
// See https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#matchlabelkeys.
func mergeLabelKeys(p *corev1.Pod) {
	for i := range p.Spec.TopologySpreadConstraints {
		c := &p.Spec.TopologySpreadConstraints[i]
		if c.LabelSelector != nil {
			require(c.LabelSelector, c.MatchLabelKeys, p.Labels, metav1.LabelSelectorOpIn)
		}
	}
	a := p.Spec.Affinity
	if a == nil {
		return
	}
	var terms []*corev1.PodAffinityTerm
	if a.PodAffinity != nil {
		terms = append(terms, termsOf(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution)...)
	}
	if a.PodAntiAffinity != nil {
		terms = append(terms, termsOf(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution)...)
	}
	for _, term := range terms {
		if term.LabelSelector != nil {
			require(term.LabelSelector, term.MatchLabelKeys, p.Labels, metav1.LabelSelectorOpIn)
			require(term.LabelSelector, term.MismatchLabelKeys, p.Labels, metav1.LabelSelectorOpNotIn)
		}
	}
}

func termsOf(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) []*corev1.PodAffinityTerm {
	var terms []*corev1.PodAffinityTerm
	for i := range required {
		terms = append(terms, &required[i])
	}
	for i := range preferred {
		terms = append(terms, &preferred[i].PodAffinityTerm)
	}
	return terms
}

func require(selector *metav1.LabelSelector, keys []string, labels map[string]string, op metav1.LabelSelectorOperator) {
	for _, key := range keys {
		if value, ok := labels[key]; ok {
			selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{Key: key, Operator: op, Values: []string{value}})
		}
	}
}
