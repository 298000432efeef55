package volumes

import (
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/nodeagent/env"
)

// file is one file of a content volume.
type file struct {
	data []byte
	mode uint32
	// uid owns the file if set (a service account token of a pod whose containers
	// all run as one user), else root does.
	uid *int64
}

// payload is the whole content of a volume by path relative to it.
type payload map[string]file

// add merges; a later source wins over an earlier one.
func (p payload) add(more payload) {
	for name, f := range more {
		p[name] = f
	}
}

func modeOf(item, fallback *int32) uint32 {
	switch {
	case item != nil:
		return uint32(*item)
	case fallback != nil:
		return uint32(*fallback)
	}
	return 0o644
}

// keyed projects an object's keys: all of them, or the items chosen.
func keyed(data map[string][]byte, items []corev1.KeyToPath, mode *int32, optional bool, what string) (payload, error) {
	out := payload{}
	if len(items) == 0 {
		for key, value := range data {
			out[key] = file{data: value, mode: modeOf(nil, mode)}
		}
		return out, nil
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok {
			if optional {
				continue
			}
			return nil, fmt.Errorf("references non-existent %s key: %s", what, item.Key)
		}
		out[path.Clean(item.Path)] = file{data: value, mode: modeOf(item.Mode, mode)}
	}
	return out, nil
}

func configMapData(cm *corev1.ConfigMap) map[string][]byte {
	data := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	for k, v := range cm.Data {
		data[k] = []byte(v)
	}
	for k, v := range cm.BinaryData {
		data[k] = v
	}
	return data
}

// downward projects the pod itself.
func downward(pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile, mode *int32, allocatable corev1.ResourceList) (payload, error) {
	out := payload{}
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = env.Field(pod, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = env.Resource(pod, item.ResourceFieldRef, "", allocatable)
		}
		if err != nil {
			return nil, err
		}
		out[path.Clean(item.Path)] = file{data: []byte(value), mode: modeOf(item.Mode, mode)}
	}
	return out, nil
}

// commonUser returns the user that all containers of the pod run as, if all set
// one and it is the same.
func commonUser(pod *corev1.Pod) *int64 {
	var podUser *int64
	if pod.Spec.SecurityContext != nil {
		podUser = pod.Spec.SecurityContext.RunAsUser
	}
	var common *int64
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			user := podUser
			if sc := list[i].SecurityContext; sc != nil && sc.RunAsUser != nil {
				user = sc.RunAsUser
			}
			if user == nil || (common != nil && *common != *user) {
				return nil
			}
			common = user
		}
	}
	return common
}

func fsGroup(pod *corev1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}

func isTrue(b *bool) bool { return b != nil && *b }
