package env

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/record"

	"github.com/coracle-k8s/coracle/nodeagent/host"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
)

// ObjectReader reads what environments refer to; nodeagent/objects has one.
// A missing object is an error satisfying apierrors.IsNotFound.
type ObjectReader interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Config holds what environments are made of.
type Config struct {
	// Objects reads ConfigMaps and Secrets. Required.
	Objects ObjectReader
	// Services lists the services of a namespace and those of the namespace
	// "default" (more do no harm). Nil: containers get no service variables.
	Services func(ctx context.Context, namespace string) ([]corev1.Service, error)
	// Allocatable replaces a missing limit in a resourceFieldRef. Nil: zero.
	Allocatable func() corev1.ResourceList
	// VolumePath returns the host path of a pod's emptyDir, for fileKeyRef. Nil:
	// a fileKeyRef is an error.
	VolumePath func(pod *corev1.Pod, volume string) string
	// Recorder takes events about names that are no variable names. May be nil.
	Recorder record.EventRecorder
}

// Maker resolves environments; it holds no state and may be shared.
type Maker struct{ cfg Config }

var _ host.Env = (*Maker)(nil)

// New returns a Maker.
func New(cfg Config) *Maker { return &Maker{cfg: cfg} }

// Environment implements host.Env.
func (m *Maker) Environment(ctx context.Context, pod *corev1.Pod, c *corev1.Container) ([]host.EnvVar, error) {
	var services []host.EnvVar
	if m.cfg.Services != nil {
		list, err := m.cfg.Services(ctx, pod.Namespace)
		if err != nil {
			return nil, fmt.Errorf("listing services: %w", err)
		}
		links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
		services = serviceVars(list, pod.Namespace, links)
	}
	from, err := m.from(ctx, pod, c)
	if err != nil {
		return nil, err
	}
	own, err := m.own(ctx, pod, c, services)
	if err != nil {
		return nil, err
	}
	return lastWins(slices.Concat(services, from, own)), nil
}

// lastWins keeps the last of each name, at that place.
func lastWins(vars []host.EnvVar) []host.EnvVar {
	last := make(map[string]int, len(vars))
	for i, v := range vars {
		last[v.Name] = i
	}
	out := vars[:0:0]
	for i, v := range vars {
		if last[v.Name] == i {
			out = append(out, v)
		}
	}
	return out
}

// from resolves envFrom.
func (m *Maker) from(ctx context.Context, pod *corev1.Pod, c *corev1.Container) ([]host.EnvVar, error) {
	var vars []host.EnvVar
	for _, source := range c.EnvFrom {
		data, what, err := m.sourceData(ctx, pod.Namespace, source)
		if err != nil {
			return nil, err
		}
		var invalid []string
		for _, key := range slices.Sorted(maps.Keys(data)) {
			name := source.Prefix + key
			if len(validation.IsRelaxedEnvVarName(name)) > 0 {
				invalid = append(invalid, name)
				continue
			}
			vars = append(vars, host.EnvVar{Name: name, Value: data[key]})
		}
		if len(invalid) > 0 && m.cfg.Recorder != nil {
			m.cfg.Recorder.Eventf(pod, corev1.EventTypeWarning, "InvalidEnvironmentVariableNames",
				"Keys [%s] from the EnvFrom %s were skipped since they are considered invalid environment variable names.",
				strings.Join(invalid, ", "), what)
		}
	}
	return vars, nil
}

func (m *Maker) sourceData(ctx context.Context, namespace string, source corev1.EnvFromSource) (map[string]string, string, error) {
	switch {
	case source.ConfigMapRef != nil:
		ref := source.ConfigMapRef
		cm, err := m.cfg.Objects.ConfigMap(ctx, namespace, ref.Name)
		if err != nil {
			return nil, "", unlessOptional(err, ref.Optional)
		}
		return cm.Data, "configMap " + namespace + "/" + ref.Name, nil
	case source.SecretRef != nil:
		ref := source.SecretRef
		secret, err := m.cfg.Objects.Secret(ctx, namespace, ref.Name)
		if err != nil {
			return nil, "", unlessOptional(err, ref.Optional)
		}
		data := make(map[string]string, len(secret.Data))
		for k, v := range secret.Data {
			data[k] = string(v)
		}
		return data, "secret " + namespace + "/" + ref.Name, nil
	}
	return nil, "", nil
}

func unlessOptional(err error, optional *bool) error {
	if optional != nil && *optional && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// own resolves the env list.
func (m *Maker) own(ctx context.Context, pod *corev1.Pod, c *corev1.Container, services []host.EnvVar) ([]host.EnvVar, error) {
	known := make(map[string]string, len(services)+len(c.Env))
	for _, v := range services {
		known[v.Name] = v.Value
	}
	lookup := func(name string) (string, bool) {
		value, ok := known[name]
		return value, ok
	}
	vars := make([]host.EnvVar, 0, len(c.Env))
	for i := range c.Env {
		e := &c.Env[i]
		value, present := podconfig.Expand(e.Value, lookup), true
		if e.Value == "" && e.ValueFrom != nil {
			var err error
			if value, present, err = m.valueFrom(ctx, pod, c.Name, e.ValueFrom); err != nil {
				return nil, err
			}
		}
		if present {
			known[e.Name] = value
			vars = append(vars, host.EnvVar{Name: e.Name, Value: value})
		}
	}
	return vars, nil
}

// valueFrom resolves one reference; present is false where it is optional and
// leads nowhere.
func (m *Maker) valueFrom(ctx context.Context, pod *corev1.Pod, container string, from *corev1.EnvVarSource) (value string, present bool, err error) {
	switch {
	case from.FieldRef != nil:
		value, err = Field(pod, from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ResourceFieldRef != nil:
		var allocatable corev1.ResourceList
		if m.cfg.Allocatable != nil {
			allocatable = m.cfg.Allocatable()
		}
		value, err = Resource(pod, from.ResourceFieldRef, container, allocatable)
		return value, err == nil, err
	case from.ConfigMapKeyRef != nil:
		return m.configMapKey(ctx, pod.Namespace, from.ConfigMapKeyRef)
	case from.SecretKeyRef != nil:
		return m.secretKey(ctx, pod.Namespace, from.SecretKeyRef)
	case from.FileKeyRef != nil:
		return m.fileKey(pod, from.FileKeyRef)
	}
	return "", true, nil
}

func (m *Maker) configMapKey(ctx context.Context, namespace string, ref *corev1.ConfigMapKeySelector) (string, bool, error) {
	optional := ref.Optional != nil && *ref.Optional
	cm, err := m.cfg.Objects.ConfigMap(ctx, namespace, ref.Name)
	if err != nil {
		return "", false, unlessOptional(err, ref.Optional)
	}
	value, ok := cm.Data[ref.Key]
	if !ok && !optional {
		return "", false, fmt.Errorf("couldn't find key %v in ConfigMap %v/%v", ref.Key, namespace, ref.Name)
	}
	return value, ok, nil
}

func (m *Maker) secretKey(ctx context.Context, namespace string, ref *corev1.SecretKeySelector) (string, bool, error) {
	optional := ref.Optional != nil && *ref.Optional
	secret, err := m.cfg.Objects.Secret(ctx, namespace, ref.Name)
	if err != nil {
		return "", false, unlessOptional(err, ref.Optional)
	}
	value, ok := secret.Data[ref.Key]
	if !ok && !optional {
		return "", false, fmt.Errorf("couldn't find key %v in Secret %v/%v", ref.Key, namespace, ref.Name)
	}
	return string(value), ok, nil
}

// maxEnvFile bounds what a container may make the agent read.
const maxEnvFile = 1 << 20

func (m *Maker) fileKey(pod *corev1.Pod, ref *corev1.FileKeySelector) (string, bool, error) {
	optional := ref.Optional != nil && *ref.Optional
	if m.cfg.VolumePath == nil {
		return "", false, fmt.Errorf("resolving fileKeyRef %s: no volumes on this node", ref.Path)
	}
	// The volume's content is the containers' own: a symlink must not lead the
	// agent out of it.
	root, err := os.OpenRoot(m.cfg.VolumePath(pod, ref.VolumeName))
	if err != nil {
		return "", false, fmt.Errorf("opening volume %s for a fileKeyRef: %w", ref.VolumeName, err)
	}
	defer root.Close()
	file, err := openRegular(root, ref.Path)
	if os.IsNotExist(err) && optional {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("opening env file %s in volume %s: %w", ref.Path, ref.VolumeName, err)
	}
	defer file.Close()
	value, err := envFileValue(file, maxEnvFile, ref.Key)
	if err != nil {
		return "", false, fmt.Errorf("reading env file %s in volume %s: %w", ref.Path, ref.VolumeName, err)
	}
	// An empty value counts as none.
	if value == "" && !optional {
		return "", false, fmt.Errorf("environment variable key %q not found in file %q", ref.Key, ref.Path)
	}
	return value, value != "", nil
}
