package node

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apis/core/pod"
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

// Graph holds which objects the pods of each node use. It watches pods, and
// volumes when given, from the first question on; Run must be running.
type Graph struct {
	pods    *mirror.Mirror[*corev1.Pod]
	volumes *mirror.Mirror[*corev1.PersistentVolume]
	named   map[string]named // by kind
}

// Watches hold what a Graph follows. All but Pods may be nil, where the server
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

// podKeys returns the edges of a pod that is bound to a node.
func podKeys(p *corev1.Pod) []string {
	if p.Spec.NodeName == "" {
		return nil
	}
	keys := sets.New(edge(p.Spec.NodeName, pods, p.Namespace, p.Name))
	// Mirror pods show what the node runs on its own; they give it nothing.
	if _, mirrorPod := p.Annotations[corev1.MirrorPodAnnotationKey]; mirrorPod {
		return keys.UnsortedList()
	}
	for r := range pod.References(p) {
		if kind, ok := readBy(r.Kind); ok && r.Name != "" {
			keys.Insert(edge(p.Spec.NodeName, kind, p.Namespace, r.Name))
		}
	}
	return keys.UnsortedList()
}

// readBy returns the kind of object that a pod's reference lets its node read.
// Objects of other kinds are for every node or for none.
func readBy(kind pod.Kind) (string, bool) {
	switch kind {
	case pod.Secrets:
		return secrets, true
	case pod.ConfigMaps:
		return configMaps, true
	case pod.PersistentVolumeClaims:
		return claims, true
	case pod.ServiceAccounts:
		return accounts, true
	case pod.ResourceClaims:
		return resourceClaims, true
	}
	return "", false
}

// volumeKeys returns the secrets, as namespace/name, that a volume's plugin needs on the node.
func volumeKeys(v *corev1.PersistentVolume) []string {
	if v.Spec.ClaimRef == nil {
		return nil
	}
	var keys []string
	for s := range pod.VolumeSecrets(v) {
		if !s.Controller {
			keys = append(keys, s.Namespace+"/"+s.Name)
		}
	}
	return keys
}
