package pod

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-helpers/storage/ephemeral"
)

// Kind is the resource of what a Reference names.
type Kind string

// The kinds of objects that pods refer to. All but csidrivers and
// clustertrustbundles are in the pod's namespace.
const (
	Secrets                Kind = "secrets"
	ConfigMaps             Kind = "configmaps"
	ServiceAccounts        Kind = "serviceaccounts"
	PersistentVolumeClaims Kind = "persistentvolumeclaims"
	Endpoints              Kind = "endpoints"
	CSIDrivers             Kind = "csidrivers"
	ResourceClaims         Kind = "resourceclaims"
	ResourceClaimTemplates Kind = "resourceclaimtemplates"
	PodGroups              Kind = "podgroups"
	// ClusterTrustBundles are named themselves or by their signer.
	ClusterTrustBundles Kind = "clustertrustbundles"
	// PodCertificates have the name of their signer.
	PodCertificates Kind = "podcertificates"
)

// Reference is an object that a pod names.
type Reference struct {
	Kind Kind
	// Name may be empty in a pod that was not validated.
	Name string
	// Path is the field with the name, from the pod on.
	Path *field.Path
	// Volume is the field of the volume's source, as "secret" or "projected";
	// empty outside of volumes.
	Volume string
}

// References yields every object that p refers to: of its service account, its
// containers, volumes and claims. An object may come more than once. Claims
// made from templates and for extended resources come once p's status names them.
//
// The secrets of a PersistentVolume are VolumeSecrets.
func References(p *corev1.Pod) iter.Seq[Reference] {
	return func(yield func(Reference) bool) {
		w := walk{pod: p, yield: yield, spec: field.NewPath("spec")}
		_ = w.own() && w.containers() && w.volumes() && w.claims()
	}
}

// Names yields the names of the objects of a kind that p refers to, without
// empty ones.
func Names(p *corev1.Pod, kind Kind) iter.Seq[string] {
	return func(yield func(string) bool) {
		for r := range References(p) {
			if r.Kind == kind && r.Name != "" && !yield(r.Name) {
				return
			}
		}
	}
}

// walk is one walk over a pod. Its methods report whether it goes on. Paths are
// made for what is found only: most pods have many fields and few references.
type walk struct {
	pod   *corev1.Pod
	yield func(Reference) bool
	spec  *field.Path
}

func (w *walk) found(kind Kind, name string, at *field.Path) bool {
	return w.yield(Reference{Kind: kind, Name: name, Path: at})
}

func (w *walk) own() bool {
	s := &w.pod.Spec
	if s.ServiceAccountName != "" && !w.found(ServiceAccounts, s.ServiceAccountName, w.spec.Child("serviceAccountName")) {
		return false
	}
	for i := range s.ImagePullSecrets {
		if !w.found(Secrets, s.ImagePullSecrets[i].Name, w.spec.Child("imagePullSecrets").Index(i).Child("name")) {
			return false
		}
	}
	g := s.SchedulingGroup
	return g == nil || g.PodGroupName == nil || w.found(PodGroups, *g.PodGroupName, w.spec.Child("schedulingGroup", "podGroupName"))
}

func (w *walk) containers() bool {
	s := &w.pod.Spec
	for i := range s.InitContainers {
		if !w.container(&s.InitContainers[i], InitContainers, i) {
			return false
		}
	}
	for i := range s.Containers {
		if !w.container(&s.Containers[i], Containers, i) {
			return false
		}
	}
	for i := range s.EphemeralContainers {
		if !w.container((*corev1.Container)(&s.EphemeralContainers[i].EphemeralContainerCommon), EphemeralContainers, i) {
			return false
		}
	}
	return true
}

func (w *walk) container(c *corev1.Container, list ContainerType, i int) bool {
	env := func(name string, j int, in string) *field.Path {
		return w.spec.Child(string(list)).Index(i).Child(name).Index(j).Child(in, "name")
	}
	for j := range c.EnvFrom {
		from := &c.EnvFrom[j]
		if r := from.SecretRef; r != nil && !w.found(Secrets, r.Name, env("envFrom", j, "secretRef")) {
			return false
		}
		if r := from.ConfigMapRef; r != nil && !w.found(ConfigMaps, r.Name, env("envFrom", j, "configMapRef")) {
			return false
		}
	}
	for j := range c.Env {
		from := c.Env[j].ValueFrom
		if from == nil {
			continue
		}
		if r := from.SecretKeyRef; r != nil && !w.found(Secrets, r.Name, env("env", j, "valueFrom.secretKeyRef")) {
			return false
		}
		if r := from.ConfigMapKeyRef; r != nil && !w.found(ConfigMaps, r.Name, env("env", j, "valueFrom.configMapKeyRef")) {
			return false
		}
	}
	return true
}

// claims yields the ResourceClaims of the pod and their templates. A status is
// heeded for what the spec asks for, as by resourceclaim.Name of
// k8s.io/dynamic-resource-allocation.
func (w *walk) claims() bool {
	status := field.NewPath("status")
	for i := range w.pod.Spec.ResourceClaims {
		c, at := &w.pod.Spec.ResourceClaims[i], w.spec.Child("resourceClaims").Index(i)
		switch {
		case c.ResourceClaimName != nil:
			if !w.found(ResourceClaims, *c.ResourceClaimName, at.Child("resourceClaimName")) {
				return false
			}
		case c.ResourceClaimTemplateName != nil:
			if !w.found(ResourceClaimTemplates, *c.ResourceClaimTemplateName, at.Child("resourceClaimTemplateName")) || !w.generated(c.Name, status) {
				return false
			}
		}
	}
	s := w.pod.Status.ExtendedResourceClaimStatus
	return s == nil || w.found(ResourceClaims, s.ResourceClaimName, status.Child("extendedResourceClaimStatus", "resourceClaimName"))
}

// generated yields the claim that was made for the entry of the spec.
func (w *walk) generated(entry string, status *field.Path) bool {
	for i, s := range w.pod.Status.ResourceClaimStatuses {
		if s.Name == entry {
			return s.ResourceClaimName == nil ||
				w.found(ResourceClaims, *s.ResourceClaimName, status.Child("resourceClaimStatuses").Index(i).Child("resourceClaimName"))
		}
	}
	return true
}

func (w *walk) volumes() bool {
	for i := range w.pod.Spec.Volumes {
		if !w.volume(&w.pod.Spec.Volumes[i], w.spec.Child("volumes").Index(i)) {
			return false
		}
	}
	return true
}

// volume yields what any source of a volume names, of several too: a pod that
// was not validated may have more than one.
func (w *walk) volume(v *corev1.Volume, at *field.Path) bool {
	found := func(kind Kind, name, source string, rest ...string) bool {
		return w.yield(Reference{Kind: kind, Name: name, Path: at.Child(source, rest...), Volume: source})
	}
	secret := func(r *corev1.LocalObjectReference, source string) bool {
		return r == nil || found(Secrets, r.Name, source, "secretRef", "name")
	}
	return (v.Secret == nil || found(Secrets, v.Secret.SecretName, "secret", "secretName")) &&
		(v.ConfigMap == nil || found(ConfigMaps, v.ConfigMap.Name, "configMap", "name")) &&
		(v.PersistentVolumeClaim == nil || found(PersistentVolumeClaims, v.PersistentVolumeClaim.ClaimName, "persistentVolumeClaim", "claimName")) &&
		(v.Ephemeral == nil || found(PersistentVolumeClaims, ephemeral.VolumeClaimName(w.pod, v), "ephemeral")) &&
		(v.Projected == nil || w.projected(v.Projected, at.Child("projected"))) &&
		(v.Glusterfs == nil || found(Endpoints, v.Glusterfs.EndpointsName, "glusterfs", "endpoints")) &&
		(v.AzureFile == nil || found(Secrets, v.AzureFile.SecretName, "azureFile", "secretName")) &&
		(v.CSI == nil || found(CSIDrivers, v.CSI.Driver, "csi", "driver")) &&
		(v.CSI == nil || v.CSI.NodePublishSecretRef == nil || found(Secrets, v.CSI.NodePublishSecretRef.Name, "csi", "nodePublishSecretRef", "name")) &&
		(v.CephFS == nil || secret(v.CephFS.SecretRef, "cephfs")) &&
		(v.Cinder == nil || secret(v.Cinder.SecretRef, "cinder")) &&
		(v.FlexVolume == nil || secret(v.FlexVolume.SecretRef, "flexVolume")) &&
		(v.ISCSI == nil || secret(v.ISCSI.SecretRef, "iscsi")) &&
		(v.RBD == nil || secret(v.RBD.SecretRef, "rbd")) &&
		(v.ScaleIO == nil || secret(v.ScaleIO.SecretRef, "scaleIO")) &&
		(v.StorageOS == nil || secret(v.StorageOS.SecretRef, "storageos"))
}

func (w *walk) projected(v *corev1.ProjectedVolumeSource, at *field.Path) bool {
	for i := range v.Sources {
		s, at := &v.Sources[i], at.Child("sources").Index(i)
		found := func(kind Kind, name, source string, rest ...string) bool {
			return w.yield(Reference{Kind: kind, Name: name, Path: at.Child(source, rest...), Volume: "projected"})
		}
		if !((s.Secret == nil || found(Secrets, s.Secret.Name, "secret", "name")) &&
			(s.ConfigMap == nil || found(ConfigMaps, s.ConfigMap.Name, "configMap", "name")) &&
			(s.ServiceAccountToken == nil || found(ServiceAccounts, w.pod.Spec.ServiceAccountName, "serviceAccountToken")) &&
			(s.ClusterTrustBundle == nil || trustBundles(s.ClusterTrustBundle, found)) &&
			(s.PodCertificate == nil || found(PodCertificates, s.PodCertificate.SignerName, "podCertificate", "signerName"))) {
			return false
		}
	}
	return true
}

func trustBundles(b *corev1.ClusterTrustBundleProjection, found func(kind Kind, name, source string, rest ...string) bool) bool {
	if b.Name != nil && !found(ClusterTrustBundles, *b.Name, "clusterTrustBundle", "name") {
		return false
	}
	if b.SignerName != nil && !found(ClusterTrustBundles, *b.SignerName, "clusterTrustBundle", "signerName") {
		return false
	}
	return b.Name != nil || b.SignerName != nil || found(ClusterTrustBundles, "", "clusterTrustBundle")
}
