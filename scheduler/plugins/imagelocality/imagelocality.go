// Package imagelocality prefers nodes that have a pod's images already.
//
// The API of this package is not stable: see docs/api.md.
package imagelocality

import (
	"context"
	"strings"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// Name is the plugin's name in Kubernetes.
const Name = "ImageLocality"

const (
	// Below minThreshold bytes of images (for each container, at most
	// maxContainerThreshold counts) locality is worth nothing.
	minThreshold          int64 = 23 << 20
	maxContainerThreshold int64 = 1000 << 20

	stateKey fwk.StateKey = "PreScore" + Name
)

// Images lists the nodes and images of the current snapshot.
type Images interface {
	// HasImage reports whether any node has the image.
	HasImage(name string) bool
	// Nodes lists all nodes.
	Nodes() []fwk.NodeInfo
}

// ImageLocality is the Score plugin.
type ImageLocality struct{ images Images }

var _ fwk.PreScorePlugin = &ImageLocality{}
var _ fwk.ScorePlugin = &ImageLocality{}

type state struct {
	names      []string
	containers int64
	nodes      int64
}

// Clone shares the state: nothing changes it.
func (s *state) Clone() fwk.StateData { return s }

// New returns the plugin.
func New(images Images) *ImageLocality { return &ImageLocality{images: images} }

func (*ImageLocality) Name() string { return Name }

// PreScore skips pods none of whose images is on any node.
func (l *ImageLocality) PreScore(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	s := &state{containers: int64(len(pod.Spec.Containers) + len(pod.Spec.InitContainers)), nodes: int64(len(l.images.Nodes()))}
	add := func(image string) {
		if name := normalize(image); l.images.HasImage(name) {
			s.names = append(s.names, name)
		}
	}
	for i := range pod.Spec.InitContainers {
		add(pod.Spec.InitContainers[i].Image)
	}
	for i := range pod.Spec.Containers {
		add(pod.Spec.Containers[i].Image)
	}
	if len(s.names) == 0 {
		return fwk.NewStatus(fwk.Skip)
	}
	cs.Write(stateKey, s)
	return nil
}

// Score grows with the bytes that need no pulling, scaled down for images that
// few nodes have, lest pods crowd there.
func (*ImageLocality) Score(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	data, err := cs.Read(stateKey)
	if err != nil {
		return 0, fwk.AsStatus(err)
	}
	s := data.(*state)
	states := node.GetImageStates()
	if len(states) == 0 {
		return 0, nil
	}
	var sum int64
	for _, name := range s.names {
		if st, ok := states[name]; ok {
			sum += int64(float64(st.Size) * float64(st.NumNodes) / float64(s.nodes))
		}
	}
	return priority(sum, s.containers), nil
}

func priority(sum, containers int64) int64 {
	highest := maxContainerThreshold * containers
	sum = min(max(sum, minThreshold), highest)
	return fwk.MaxScore * (sum - minThreshold) / (highest - minThreshold)
}

func (*ImageLocality) ScoreExtensions() fwk.ScoreExtensions { return nil }

// normalize adds the tag that is meant by none, as nodes report it.
func normalize(name string) string {
	if strings.LastIndex(name, ":") <= strings.LastIndex(name, "/") {
		return name + ":latest"
	}
	return name
}
