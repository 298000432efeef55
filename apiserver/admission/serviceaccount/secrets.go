package serviceaccount

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// enforced reports whether pods of the account are limited to its secrets. The
// annotation is deprecated since v1.32 and still heeded.
func enforced(account *corev1.ServiceAccount) bool {
	yes, err := strconv.ParseBool(account.Annotations[enforceSecrets])
	return err == nil && yes
}

func secretsOf(account *corev1.ServiceAccount) sets.Set[string] {
	out := sets.New[string]()
	for _, s := range account.Secrets {
		out.Insert(s.Name)
	}
	return out
}

func limitSecrets(account *corev1.ServiceAccount, pod *corev1.Pod) error {
	mountable := secretsOf(account)
	for _, v := range pod.Spec.Volumes {
		if v.Secret != nil && !mountable.Has(v.Secret.SecretName) {
			return fmt.Errorf("volume with secret.secretName=%q is not allowed because service account %s does not reference that secret", v.Secret.SecretName, account.Name)
		}
	}
	for _, c := range pod.Spec.InitContainers {
		if err := limitEnvironment(account, mountable, "init container", c.Name, c.Env, c.EnvFrom); err != nil {
			return err
		}
	}
	for _, c := range pod.Spec.Containers {
		if err := limitEnvironment(account, mountable, "container", c.Name, c.Env, c.EnvFrom); err != nil {
			return err
		}
	}
	pull := sets.New[string]()
	for _, s := range account.ImagePullSecrets {
		pull.Insert(s.Name)
	}
	for i, s := range pod.Spec.ImagePullSecrets {
		if !pull.Has(s.Name) {
			return fmt.Errorf("imagePullSecrets[%d].name=%q is not allowed because service account %s does not reference that imagePullSecret", i, s.Name, account.Name)
		}
	}
	return nil
}

func limitEnvironment(account *corev1.ServiceAccount, mountable sets.Set[string], kind, container string, env []corev1.EnvVar, from []corev1.EnvFromSource) error {
	for _, e := range env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && !mountable.Has(e.ValueFrom.SecretKeyRef.Name) {
			return fmt.Errorf("%s %s with envVar %s referencing secret.secretName=%q is not allowed because service account %s does not reference that secret",
				kind, container, e.Name, e.ValueFrom.SecretKeyRef.Name, account.Name)
		}
	}
	for _, e := range from {
		if e.SecretRef != nil && !mountable.Has(e.SecretRef.Name) {
			return fmt.Errorf("%s %s with envFrom referencing secret.secretName=%q is not allowed because service account %s does not reference that secret",
				kind, container, e.SecretRef.Name, account.Name)
		}
	}
	return nil
}
