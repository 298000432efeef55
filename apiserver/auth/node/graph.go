package node

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
)

// Kinds of objects that belong to a node through its pods.
const (
	secrets         = "secrets"
	configMaps      = "configmaps"
	claims          = "persistentvolumeclaims"
	volumes         = "persistentvolumes"
	accounts        = "serviceaccounts"
	resourceClaims  = "resourceclaims"
	pods            = "pods"
	byReference     = "reference"
	byVolumeSecrets = "secret"
)

// Graph knows which objects the pods of each node use. It watches pods, and
// volumes when given, from the first question on; Run must be running.
type Graph struct {
	pods    *mirror.Mirror[*corev1.Pod]
	volumes *mirror.Mirror[*corev1.PersistentVolume]
	named   map[string]named // by kind
}

// Watches are what a Graph follows. All but Pods may be nil, where the server
// has no such resource.
type Watches struct {
	Pods, PersistentVolumes                                   cache.ListerWatcher
	VolumeAttachments, ResourceSlices, PodCertificateRequests cache.ListerWatcher
}

// NewGraph makes a graph.
func NewGraph(w Watches) *Graph {
	g := &Graph{named: namedBy(w), pods: mirror.NewTrimmed(w.Pods, map[string]mirror.Index[*corev1.Pod]{byReference: podKeys}, nameOnly)}
	if w.PersistentVolumes != nil {
		g.volumes = mirror.New(w.PersistentVolumes, map[string]mirror.Index[*corev1.PersistentVolume]{byVolumeSecrets: volumeKeys})
	}
	return g
}

// Run feeds the graph until ctx is done.
func (g *Graph) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.pods.Run(ctx) })
	if g.volumes != nil {
		group.Go(func() error { return g.volumes.Run(ctx) })
	}
	for _, objects := range g.named {
		group.Go(func() error { return objects.Run(ctx) })
	}
	return group.Wait()
}

// Sync returns when the graph can be asked for objects of the kind.
func (g *Graph) Sync(ctx context.Context, kind string) error {
	if objects := g.named[kind]; objects != nil {
		return objects.Sync(ctx)
	}
	if kind == volumes && g.volumes != nil {
		if err := g.volumes.Sync(ctx); err != nil {
			return err
		}
	}
	return g.pods.Sync(ctx)
}

// await gives news of what makes objects of the kind a node's the time of ctx to
// make holds true.
func (g *Graph) await(ctx context.Context, kind string, holds func() bool) bool {
	if objects := g.named[kind]; objects != nil {
		return objects.Wait(ctx, holds) == nil
	}
	if g.volumes != nil && g.volumes.Sync(ctx) == nil && holds() {
		return true
	}
	return g.pods.Wait(ctx, holds) == nil
}

// Uses reports whether the object names the node, or a pod of the node uses it,
// directly or through a claim and its volume.
func (g *Graph) Uses(node, kind, namespace, name string) bool {
	if objects := g.named[kind]; objects != nil {
		return objects.Has(byNode, nameKey(node, namespace, name))
	}
	if kind == volumes {
		return g.usesVolume(node, name)
	}
	if g.pods.Has(byReference, edge(node, kind, namespace, name)) {
		return true
	}
	// Secrets of volume plugins are named by the volume.
	if kind == secrets && g.volumes != nil {
		return slices.ContainsFunc(g.volumes.ByIndex(byVolumeSecrets, namespace+"/"+name), func(v *corev1.PersistentVolume) bool {
			return g.usesVolume(node, v.Name)
		})
	}
	return false
}

func (g *Graph) usesVolume(node, name string) bool {
	if g.volumes == nil {
		return false
	}
	v, ok := g.volumes.Get("", name)
	return ok && v.Spec.ClaimRef != nil &&
		g.pods.Has(byReference, edge(node, claims, v.Spec.ClaimRef.Namespace, v.Spec.ClaimRef.Name))
}

// nameOnly keeps of a pod what a mirror needs: the edges are in its index.
func nameOnly(p *corev1.Pod) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, ResourceVersion: p.ResourceVersion}}
}

func edge(node, kind, namespace, name string) string {
	return node + "|" + kind + "|" + namespace + "/" + name
}

// podKeys are the edges of a pod that is bound to a node.
func podKeys(p *corev1.Pod) []string {
	if p.Spec.NodeName == "" {
		return nil
	}
	keys := sets.New(edge(p.Spec.NodeName, pods, p.Namespace, p.Name))
	add := func(kind, name string) {
		if name != "" {
			keys.Insert(edge(p.Spec.NodeName, kind, p.Namespace, name))
		}
	}
	// Mirror pods show what the node runs on its own; they give it nothing.
	if _, mirrorPod := p.Annotations[corev1.MirrorPodAnnotationKey]; mirrorPod {
		return keys.UnsortedList()
	}
	add(accounts, p.Spec.ServiceAccountName)
	for _, s := range p.Spec.ImagePullSecrets {
		add(secrets, s.Name)
	}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		environment(c.Env, c.EnvFrom, add)
	}
	for _, c := range p.Spec.EphemeralContainers {
		environment(c.Env, c.EnvFrom, add)
	}
	for i := range p.Spec.Volumes {
		volume(p, &p.Spec.Volumes[i], add)
	}
	podResourceClaims(p, add)
	return keys.UnsortedList()
}

func environment(env []corev1.EnvVar, from []corev1.EnvFromSource, add func(kind, name string)) {
	for _, e := range from {
		if e.SecretRef != nil {
			add(secrets, e.SecretRef.Name)
		}
		if e.ConfigMapRef != nil {
			add(configMaps, e.ConfigMapRef.Name)
		}
	}
	for _, e := range env {
		if e.ValueFrom == nil {
			continue
		}
		if r := e.ValueFrom.SecretKeyRef; r != nil {
			add(secrets, r.Name)
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
			add(configMaps, r.Name)
		}
	}
}

func volume(p *corev1.Pod, v *corev1.Volume, add func(kind, name string)) {
	switch {
	case v.Secret != nil:
		add(secrets, v.Secret.SecretName)
	case v.ConfigMap != nil:
		add(configMaps, v.ConfigMap.Name)
	case v.PersistentVolumeClaim != nil:
		add(claims, v.PersistentVolumeClaim.ClaimName)
	case v.Ephemeral != nil:
		add(claims, p.Name+"-"+v.Name)
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				add(secrets, s.Secret.Name)
			}
			if s.ConfigMap != nil {
				add(configMaps, s.ConfigMap.Name)
			}
		}
	default:
		add(secrets, pluginSecret(v))
	}
}

// pluginSecret is the secret that an inline volume of a plugin names.
func pluginSecret(v *corev1.Volume) string {
	name := func(r *corev1.LocalObjectReference) string {
		if r == nil {
			return ""
		}
		return r.Name
	}
	switch {
	case v.CSI != nil:
		return name(v.CSI.NodePublishSecretRef)
	case v.ISCSI != nil:
		return name(v.ISCSI.SecretRef)
	case v.FlexVolume != nil:
		return name(v.FlexVolume.SecretRef)
	case v.CephFS != nil:
		return name(v.CephFS.SecretRef)
	case v.RBD != nil:
		return name(v.RBD.SecretRef)
	case v.AzureFile != nil:
		return v.AzureFile.SecretName
	case v.ScaleIO != nil:
		return name(v.ScaleIO.SecretRef)
	case v.StorageOS != nil:
		return name(v.StorageOS.SecretRef)
	case v.Cinder != nil:
		return name(v.Cinder.SecretRef)
	}
	return ""
}

func podResourceClaims(p *corev1.Pod, add func(kind, name string)) {
	for _, c := range p.Spec.ResourceClaims {
		if c.ResourceClaimName != nil {
			add(resourceClaims, *c.ResourceClaimName)
		}
	}
	if s := p.Status.ExtendedResourceClaimStatus; s != nil {
		add(resourceClaims, s.ResourceClaimName)
	}
	for _, s := range p.Status.ResourceClaimStatuses {
		if s.ResourceClaimName != nil {
			add(resourceClaims, *s.ResourceClaimName)
		}
	}
}

// volumeKeys are the secrets, as namespace/name, that a volume's plugin needs on
// the node. A secret without a namespace is in the claim's.
func volumeKeys(v *corev1.PersistentVolume) []string {
	if v.Spec.ClaimRef == nil {
		return nil
	}
	var refs []*corev1.SecretReference
	s := v.Spec.PersistentVolumeSource
	switch {
	case s.CSI != nil:
		refs = append(refs, s.CSI.NodePublishSecretRef, s.CSI.NodeStageSecretRef, s.CSI.NodeExpandSecretRef)
	case s.ISCSI != nil:
		refs = append(refs, s.ISCSI.SecretRef)
	case s.FlexVolume != nil:
		refs = append(refs, s.FlexVolume.SecretRef)
	case s.CephFS != nil:
		refs = append(refs, s.CephFS.SecretRef)
	case s.RBD != nil:
		refs = append(refs, s.RBD.SecretRef)
	case s.AzureFile != nil:
		r := &corev1.SecretReference{Name: s.AzureFile.SecretName}
		if s.AzureFile.SecretNamespace != nil {
			r.Namespace = *s.AzureFile.SecretNamespace
		}
		refs = append(refs, r)
	}
	keys := sets.New[string]()
	for _, r := range refs {
		if r == nil || r.Name == "" {
			continue
		}
		namespace := r.Namespace
		if namespace == "" {
			namespace = v.Spec.ClaimRef.Namespace
		}
		keys.Insert(namespace + "/" + r.Name)
	}
	return keys.UnsortedList()
}
