// Package podsecurity holds pods to the Pod Security Standards that labels of
// their namespace name: https://kubernetes.io/docs/concepts/security/pod-security-admission/.
// The standards are k8s.io/pod-security-admission's.
//
// The API of this package is not stable: see docs/api.md.
package podsecurity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	podadmission "k8s.io/pod-security-admission/admission"
	admissionapi "k8s.io/pod-security-admission/admission/api"
	"k8s.io/pod-security-admission/admission/api/load"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/metrics"
	"k8s.io/pod-security-admission/policy"
)

// annotationPrefix starts the names of audit annotations.
const annotationPrefix = "pod-security.kubernetes.io/"

// Objects looks up what the decision needs.
type Objects interface {
	podadmission.NamespaceGetter
	podadmission.PodLister
}

// Config configures the plugin.
type Config struct {
	Objects Objects
	// Defaults for namespaces without labels; nil is privileged, latest.
	Defaults *admissionapi.PodSecurityConfiguration
	// Metrics may be nil.
	Metrics metrics.Recorder
}

// Load reads a PodSecurityConfiguration, the plugin's part of an
// AdmissionConfiguration; nil has no labels mean privileged, latest.
func Load(config io.Reader) (*admissionapi.PodSecurityConfiguration, error) {
	c, err := load.LoadFromReader(config)
	if err != nil {
		return nil, fmt.Errorf("reading the pod security configuration: %w", err)
	}
	return c, nil
}

// Plugin is PodSecurity.
type Plugin struct {
	*admission.Handler
	delegate *podadmission.Admission
}

var _ admission.ValidationInterface = &Plugin{}

// New makes the plugin. It fails on invalid defaults.
func New(c Config) (*Plugin, error) {
	if c.Defaults == nil {
		var err error
		if c.Defaults, err = Load(nil); err != nil {
			return nil, err
		}
	}
	if c.Metrics == nil {
		c.Metrics = unrecorded{}
	}
	delegate := &podadmission.Admission{
		Configuration: c.Defaults, Evaluator: &lazyEvaluator{build: sync.OnceValues(newEvaluator)}, Metrics: c.Metrics,
		PodSpecExtractor: podadmission.DefaultPodSpecExtractor{}, NamespaceGetter: c.Objects, PodLister: c.Objects,
	}
	if err := delegate.CompleteConfiguration(); err != nil {
		return nil, fmt.Errorf("completing the pod security configuration: %w", err)
	}
	if err := delegate.ValidateConfiguration(); err != nil {
		return nil, fmt.Errorf("validating the pod security configuration: %w", err)
	}
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), delegate: delegate}, nil
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	gr := a.GetResource().GroupResource()
	if gr != corev1.Resource("namespaces") && gr != corev1.Resource("pods") && !p.delegate.PodSpecExtractor.HasPodSpec(gr) {
		return nil
	}
	result := p.delegate.Validate(ctx, attributes{a})
	for _, w := range result.Warnings {
		warning.AddWarning(ctx, "", w)
	}
	for k, v := range result.AuditAnnotations {
		// An annotation that cannot be added is the audit log's loss only.
		_ = a.AddAnnotation(annotationPrefix+k, v)
	}
	if result.Allowed {
		return nil
	}
	return refused(a, result)
}

// refused returns a Forbidden with the library's message, reason and code.
func refused(a admission.Attributes, result *admissionv1.AdmissionResponse) error {
	err := admission.NewForbidden(a, errors.New("Not allowed by PodSecurity"))
	var status *apierrors.StatusError
	if result.Result == nil || !errors.As(err, &status) {
		return err
	}
	if result.Result.Message != "" {
		status.ErrStatus.Message = result.Result.Message
	}
	if result.Result.Reason != "" {
		status.ErrStatus.Reason = result.Result.Reason
	}
	if result.Result.Details != nil {
		status.ErrStatus.Details = result.Result.Details
	}
	if result.Result.Code != 0 {
		status.ErrStatus.Code = result.Result.Code
	}
	return err
}

// attributes are a request as the library wants it; hub types are v1 types.
type attributes struct{ admission.Attributes }

var _ api.Attributes = attributes{}

func (a attributes) GetObject() (runtime.Object, error)    { return a.Attributes.GetObject(), nil }
func (a attributes) GetOldObject() (runtime.Object, error) { return a.Attributes.GetOldObject(), nil }
func (a attributes) GetUserName() string                   { return a.GetUserInfo().GetName() }
func (a attributes) GetOperation() admissionv1.Operation {
	return admissionv1.Operation(a.Attributes.GetOperation())
}

// lazyEvaluator builds the checks when a namespace first asks for any.
type lazyEvaluator struct {
	build func() (policy.Evaluator, error)
}

func newEvaluator() (policy.Evaluator, error) {
	return policy.NewEvaluator(policy.DefaultChecks(), nil)
}

func (l *lazyEvaluator) EvaluatePod(lv api.LevelVersion, meta *metav1.ObjectMeta, spec *corev1.PodSpec) []policy.CheckResult {
	e, err := l.build()
	if err != nil {
		// The library's own checks are at fault: let nothing through.
		return []policy.CheckResult{{Allowed: false, ForbiddenReason: "pod security checks", ForbiddenDetail: err.Error()}}
	}
	return e.EvaluatePod(lv, meta, spec)
}

type unrecorded struct{}

func (unrecorded) RecordEvaluation(metrics.Decision, api.LevelVersion, metrics.Mode, api.Attributes) {
}
func (unrecorded) RecordExemption(api.Attributes)   {}
func (unrecorded) RecordError(bool, api.Attributes) {}
