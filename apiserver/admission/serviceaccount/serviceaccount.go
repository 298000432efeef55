// Package serviceaccount gives pods their service account: its name, its
// token as a projected volume at /var/run/secrets/kubernetes.io/serviceaccount,
// and its image pull secrets. See
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#serviceaccount-admission-controller.
//
// The API of this package is not stable: see docs/api.md.
package serviceaccount

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/utils/ptr"

	corepod "github.com/coracle-k8s/coracle/apis/core/pod"
)

const (
	// DefaultName is the account of pods that name none.
	DefaultName = "default"
	// TokenPath is the directory of token, ca.crt and namespace in containers.
	TokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"
	// VolumePrefix starts the name of the token volume.
	VolumePrefix = "kube-api-access-"
	// TokenSeconds is the life of the token; see registry/core/serviceaccount.
	TokenSeconds = 3607
	// rootCA is the ConfigMap that the root CA publisher keeps in every namespace.
	rootCA = "kube-root-ca.crt"
	// enforceSecrets on a service account restricts its pods to its secrets.
	enforceSecrets = "kubernetes.io/enforce-mountable-secrets"
)

// Accounts looks service accounts up.
type Accounts interface {
	// ServiceAccount gives the account, or a NotFound error. The account
	// default of a new namespace is about to be made: it is waited for, a
	// second or two at most.
	ServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error)
}

// Plugin is ServiceAccount.
type Plugin struct {
	*admission.Handler
	accounts Accounts
	names    names.NameGenerator
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// New makes the plugin. generator names token volumes;
// names.SimpleNameGenerator unless tests want fixed names.
func New(accounts Accounts, generator names.NameGenerator) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), accounts: accounts, names: generator}
}

// Admit completes new pods.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	pod, ok := podOf(a)
	if !ok || a.GetOperation() != admission.Create || a.GetSubresource() != "" {
		return nil
	}
	if isMirror(pod) {
		return p.Validate(ctx, a, o)
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = DefaultName
	}
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	account, err := p.account(ctx, a, pod)
	if err != nil {
		return err
	}
	if automount(account, pod) {
		p.mountToken(pod)
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		pod.Spec.ImagePullSecrets = slices.Clone(account.ImagePullSecrets)
	}
	return nil
}

// Validate checks what must hold after all of admission.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := podOf(a)
	if !ok {
		return nil
	}
	switch {
	case a.GetOperation() == admission.Update && a.GetSubresource() == "ephemeralcontainers":
		return p.validateEphemeral(ctx, a, pod)
	case a.GetOperation() != admission.Create || a.GetSubresource() != "":
		return nil
	}
	if isMirror(pod) {
		return validateMirror(a, pod)
	}
	account, err := p.account(ctx, a, pod)
	if err != nil {
		return err
	}
	if !enforced(account) {
		return nil
	}
	if err := limitSecrets(account, pod); err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

// validateMirror refuses mirror pods that refer to accounts and secrets: a node
// could make one to get them.
func validateMirror(a admission.Attributes, pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != "" {
		return admission.NewForbidden(a, errors.New("a mirror pod may not reference service accounts"))
	}
	for range corepod.Names(pod, corepod.Secrets) {
		return admission.NewForbidden(a, errors.New("a mirror pod may not reference secrets"))
	}
	if projectsToken(pod) {
		return admission.NewForbidden(a, errors.New("a mirror pod may not use ServiceAccountToken volume projections"))
	}
	return nil
}

// validateEphemeral refuses ephemeral containers that refer to secrets which the
// pod's account may not mount. Mirror pods have no account and get none at all.
func (p *Plugin) validateEphemeral(ctx context.Context, a admission.Attributes, pod *corev1.Pod) error {
	account, err := p.account(ctx, a, pod)
	if err != nil {
		return err
	}
	if !enforced(account) {
		return nil
	}
	mountable := secretsOf(account)
	for _, c := range pod.Spec.EphemeralContainers {
		if err := limitEnvironment(account, mountable, "ephemeral container", c.Name, c.Env, c.EnvFrom); err != nil {
			return admission.NewForbidden(a, err)
		}
	}
	return nil
}

// account returns the pod's service account, or Forbidden without one.
func (p *Plugin) account(ctx context.Context, a admission.Attributes, pod *corev1.Pod) (*corev1.ServiceAccount, error) {
	if pod.Spec.ServiceAccountName == "" {
		return nil, admission.NewForbidden(a, fmt.Errorf("no service account specified for pod %s/%s", a.GetNamespace(), pod.Name))
	}
	account, err := p.accounts.ServiceAccount(ctx, a.GetNamespace(), pod.Spec.ServiceAccountName)
	if err != nil {
		return nil, admission.NewForbidden(a, fmt.Errorf("error looking up service account %s/%s: %w", a.GetNamespace(), pod.Spec.ServiceAccountName, err))
	}
	return account, nil
}

func podOf(a admission.Attributes) (*corev1.Pod, bool) {
	if a.GetResource().GroupResource() != corev1.Resource("pods") {
		return nil, false
	}
	pod, ok := a.GetObject().(*corev1.Pod)
	return pod, ok
}

func isMirror(pod *corev1.Pod) bool {
	_, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

func projectsToken(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool { return s.ServiceAccountToken != nil })
	})
}

// automount reports whether to mount the token: the pod's setting precedes the account's.
func automount(account *corev1.ServiceAccount, pod *corev1.Pod) bool {
	if pod.Spec.AutomountServiceAccountToken != nil {
		return *pod.Spec.AutomountServiceAccountToken
	}
	return ptr.Deref(account.AutomountServiceAccountToken, true)
}

// mountToken mounts the token into each container that has nothing there yet.
func (p *Plugin) mountToken(pod *corev1.Pod) {
	mount := corev1.VolumeMount{Name: p.names.GenerateName(VolumePrefix), ReadOnly: true, MountPath: TokenPath}
	needed := false
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			c := &containers[i]
			if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == TokenPath }) {
				continue
			}
			c.VolumeMounts = append(c.VolumeMounts, mount)
			needed = true
		}
	}
	if needed {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: mount.Name, VolumeSource: corev1.VolumeSource{Projected: TokenVolume()}})
	}
}

// TokenVolume returns the projected volume of token, root CA and namespace.
func TokenVolume() *corev1.ProjectedVolumeSource {
	return &corev1.ProjectedVolumeSource{
		DefaultMode: ptr.To(corev1.ProjectedVolumeSourceDefaultMode),
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr.To[int64](TokenSeconds)}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: rootCA},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
			}}}},
		},
	}
}
