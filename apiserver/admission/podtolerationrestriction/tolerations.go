// Package podtolerationrestriction gives pods the tolerations of their namespace,
// an annotation, and holds them to those that a namespace is allowed. It is
// PodTolerationRestriction of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#podtolerationrestriction.
//
// The API of this package is not stable: see docs/api.md.
package podtolerationrestriction

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"sigs.k8s.io/yaml"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
)

// Annotations of namespaces, each a JSON list of tolerations.
const (
	defaults  = "scheduler.alpha.kubernetes.io/defaultTolerations"
	whitelist = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
)

// Configuration is a Configuration of
// podtolerationrestriction.admission.k8s.io/v1alpha1, for namespaces without the
// annotations.
type Configuration struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Default is added to pods. Whitelist lists what they may tolerate; empty allows all.
	Default   []corev1.Toleration `json:"default,omitempty"`
	Whitelist []corev1.Toleration `json:"whitelist,omitempty"`
}

// Namespaces looks namespaces up: in memory, else in storage.
type Namespaces interface {
	GetNamespace(ctx context.Context, name string) (*corev1.Namespace, error)
}

// Plugin is PodTolerationRestriction.
type Plugin struct {
	*admission.Handler
	namespaces Namespaces
	config     Configuration
}

var (
	_ admission.MutationInterface   = Plugin{}
	_ admission.ValidationInterface = Plugin{}
)

// New makes the plugin. config, which may be nil, is a Configuration.
func New(namespaces Namespaces, config io.Reader) (Plugin, error) {
	p := Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), namespaces: namespaces}
	if config == nil {
		return p, nil
	}
	data, err := io.ReadAll(config)
	if err == nil {
		err = yaml.UnmarshalStrict(data, &p.config)
	}
	if err != nil {
		return p, fmt.Errorf("reading the configuration of tolerations: %w", err)
	}
	if err := p.config.validate().ToAggregate(); err != nil {
		return p, fmt.Errorf("checking the configuration of tolerations: %w", err)
	}
	return p, nil
}

func (c *Configuration) validate() field.ErrorList {
	const version, kind = "podtolerationrestriction.admission.k8s.io/v1alpha1", "Configuration"
	var errs field.ErrorList
	if c.APIVersion != version {
		errs = append(errs, field.NotSupported(field.NewPath("apiVersion"), c.APIVersion, []string{version}))
	}
	if c.Kind != kind {
		errs = append(errs, field.NotSupported(field.NewPath("kind"), c.Kind, []string{kind}))
	}
	errs = append(errs, scheduling.Tolerations(field.NewPath("default"), c.Default)...)
	return append(errs, scheduling.Tolerations(field.NewPath("whitelist"), c.Whitelist)...)
}

// Admit implements admission.MutationInterface.
func (p Plugin) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	pod := podOf(a)
	if pod == nil {
		return nil
	}
	var more []corev1.Toleration
	if a.GetOperation() == admission.Create {
		listed, ok, err := p.annotated(ctx, a.GetNamespace(), defaults)
		if err != nil {
			return err
		}
		if !ok {
			listed = p.config.Default
		}
		more = slices.Clone(listed)
	}
	if podapi.QOSClass(pod) != corev1.PodQOSBestEffort {
		more = append(more, corev1.Toleration{Key: corev1.TaintNodeMemoryPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
	}
	if len(more) > 0 {
		pod.Spec.Tolerations = merge(pod.Spec.Tolerations, more)
	}
	return p.Validate(ctx, a, o)
}

// Validate implements admission.ValidationInterface.
func (p Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod := podOf(a)
	if pod == nil || len(pod.Spec.Tolerations) == 0 {
		return nil
	}
	allowed, ok, err := p.annotated(ctx, a.GetNamespace(), whitelist)
	if err != nil {
		return err
	}
	scope := "namespace"
	if !ok {
		allowed, scope = p.config.Whitelist, "cluster"
	}
	if len(allowed) == 0 {
		return nil
	}
	for _, t := range pod.Spec.Tolerations {
		if !slices.ContainsFunc(allowed, func(w corev1.Toleration) bool { return covers(w, t) }) {
			return fmt.Errorf("pod tolerations (possibly merged with namespace default tolerations) conflict with its %s whitelist", scope)
		}
	}
	return nil
}

func podOf(a admission.Attributes) *corev1.Pod {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" {
		return nil
	}
	pod, _ := a.GetObject().(*corev1.Pod)
	return pod
}

// annotated reads a list of the namespace, and whether there is one.
func (p Plugin) annotated(ctx context.Context, namespace, key string) ([]corev1.Toleration, bool, error) {
	ns, err := p.namespaces.GetNamespace(ctx, namespace)
	if apierrors.IsNotFound(err) {
		return nil, false, err
	}
	if err != nil {
		return nil, false, apierrors.NewInternalError(err)
	}
	text, ok := ns.Annotations[key]
	if !ok || text == "" {
		return nil, ok, nil
	}
	var list []corev1.Toleration
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, false, fmt.Errorf("reading the annotation %s of namespace %s: %w", key, namespace, err)
	}
	return list, true, nil
}

// merge adds more to what a pod has and leaves out what another one covers; of
// equal ones it keeps the first.
func merge(has, more []corev1.Toleration) []corev1.Toleration {
	all := append(slices.Clone(has), more...)
	var kept []corev1.Toleration
	for i, t := range all {
		before := slices.ContainsFunc(kept, func(k corev1.Toleration) bool { return covers(k, t) })
		after := slices.ContainsFunc(all[i+1:], func(k corev1.Toleration) bool {
			return covers(k, t) && !equality.Semantic.DeepEqual(k, t)
		})
		if !before && !after {
			kept = append(kept, t)
		}
	}
	return kept
}

// covers reports whether w tolerates all that t does.
func covers(w, t corev1.Toleration) bool {
	if equality.Semantic.DeepEqual(w, t) {
		return true
	}
	if w.Key != t.Key && (w.Key != "" || w.Operator != corev1.TolerationOpExists) {
		return false
	}
	if w.Effect != t.Effect && w.Effect != "" {
		return false
	}
	if w.Effect == corev1.TaintEffectNoExecute && w.TolerationSeconds != nil &&
		(t.TolerationSeconds == nil || *t.TolerationSeconds > *w.TolerationSeconds) {
		return false
	}
	switch w.Operator {
	case corev1.TolerationOpEqual, "":
		return t.Operator == corev1.TolerationOpEqual && t.Value == w.Value
	case corev1.TolerationOpExists:
		return true
	}
	return false
}
