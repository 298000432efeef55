// Package eventratelimit keeps floods of Events away from storage. It is
// EventRateLimit of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#eventratelimit.
//
// The API of this package is not stable: see docs/api.md.
package eventratelimit

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	"sigs.k8s.io/yaml"
)

// defaultBuckets is how many buckets of one limit are remembered.
const defaultBuckets = 4096

// Configuration is a Configuration of eventratelimit.admission.k8s.io/v1alpha1.
type Configuration struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Limits     []Limit `json:"limits"`
}

// Limit bounds the Events of each bucket of a type: QPS a second, after a burst.
type Limit struct {
	// Type is Server, Namespace, User or SourceAndObject.
	Type  string `json:"type"`
	QPS   int32  `json:"qps"`
	Burst int32  `json:"burst"`
	// CacheSize is how many buckets are remembered; default 4096.
	CacheSize int32 `json:"cacheSize,omitempty"`
}

// keys returns, by type of limit, the bucket that an Event is drawn from.
func keys() map[string]func(admission.Attributes) string {
	return map[string]func(admission.Attributes) string{
		"Server":    func(admission.Attributes) string { return "" },
		"Namespace": func(a admission.Attributes) string { return a.GetNamespace() },
		"User": func(a admission.Attributes) string {
			if a.GetUserInfo() == nil {
				return ""
			}
			return a.GetUserInfo().GetName()
		},
		"SourceAndObject": func(a admission.Attributes) string {
			e, ok := a.GetObject().(*corev1.Event)
			if !ok {
				return ""
			}
			o := e.InvolvedObject
			return strings.Join([]string{e.Source.Component, e.Source.Host, o.Kind, o.Namespace, o.Name, string(o.UID), o.APIVersion}, "")
		},
	}
}

// Plugin is EventRateLimit.
type Plugin struct {
	*admission.Handler
	limits []*limit
}

var _ admission.ValidationInterface = &Plugin{}

// New makes the plugin. config is a Configuration, and required.
func New(config io.Reader, clk clock.Clock) (*Plugin, error) {
	var c Configuration
	if config != nil {
		data, err := io.ReadAll(config)
		if err == nil {
			err = yaml.UnmarshalStrict(data, &c)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the configuration of event limits: %w", err)
		}
	}
	if err := c.validate().ToAggregate(); err != nil {
		return nil, fmt.Errorf("checking the configuration of event limits: %w", err)
	}
	p := &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update)}
	for _, l := range c.Limits {
		size := int(l.CacheSize)
		if size == 0 {
			size = defaultBuckets
		}
		p.limits = append(p.limits, &limit{Limit: l, key: keys()[l.Type], clock: clk, buckets: lru.New(size)})
	}
	return p, nil
}

func (c *Configuration) validate() field.ErrorList {
	const version, kind = "eventratelimit.admission.k8s.io/v1alpha1", "Configuration"
	var errs field.ErrorList
	if c.APIVersion != "" && c.APIVersion != version {
		errs = append(errs, field.NotSupported(field.NewPath("apiVersion"), c.APIVersion, []string{version}))
	}
	if c.Kind != "" && c.Kind != kind {
		errs = append(errs, field.NotSupported(field.NewPath("kind"), c.Kind, []string{kind}))
	}
	path := field.NewPath("limits")
	if len(c.Limits) == 0 {
		errs = append(errs, field.Invalid(path, c.Limits, "must not be empty"))
	}
	for i, l := range c.Limits {
		if keys()[l.Type] == nil {
			errs = append(errs, field.NotSupported(path.Index(i).Child("type"), l.Type, []string{"Server", "Namespace", "User", "SourceAndObject"}))
		}
		if l.Burst <= 0 {
			errs = append(errs, field.Invalid(path.Index(i).Child("burst"), l.Burst, "must be positive"))
		}
		if l.QPS <= 0 {
			errs = append(errs, field.Invalid(path.Index(i).Child("qps"), l.QPS, "must be positive"))
		}
		if l.CacheSize < 0 {
			errs = append(errs, field.Invalid(path.Index(i).Child("cacheSize"), l.CacheSize, "must not be negative"))
		}
	}
	return errs
}

// Validate implements admission.ValidationInterface. Dry runs store nothing and
// are not counted.
func (p *Plugin) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetKind().GroupKind() != corev1.SchemeGroupVersion.WithKind("Event").GroupKind() || a.IsDryRun() {
		return nil
	}
	var errs []error
	for _, l := range p.limits {
		if key := l.key(a); !l.bucket(key).TryAccept() {
			errs = append(errs, fmt.Errorf("limit reached on type %v for key %v", l.Type, key))
		}
	}
	if err := utilerrors.NewAggregate(errs); err != nil {
		return apierrors.NewTooManyRequestsError(err.Error())
	}
	return nil
}

// limit has the buckets of one Limit.
type limit struct {
	Limit
	key   func(admission.Attributes) string
	clock clock.Clock

	mu      sync.Mutex
	buckets *lru.Cache
}

func (l *limit) bucket(key string) flowcontrol.RateLimiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found, ok := l.buckets.Get(key); ok {
		return found.(flowcontrol.RateLimiter)
	}
	made := flowcontrol.NewTokenBucketRateLimiterWithClock(float32(l.QPS), int(l.Burst), l.clock)
	l.buckets.Add(key, made)
	return made
}
