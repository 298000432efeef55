package images

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// Report emits events about a pod.
type Report struct {
	Normal, Warn func(reason, format string, args ...any)
}

// Image is an image on the node.
type Image struct {
	// Ref is what the runtime calls it.
	Ref  string
	User podconfig.User
}

// Puller makes sure that images are on the node, pulling what is missing.
type Puller struct {
	service runtimeapi.ImageServiceClient
	client  client.Client

	mu   sync.Mutex
	last map[string]time.Time // when an image was last needed, by ID
}

// NewPuller returns a Puller; client reads pull secrets.
func NewPuller(service runtimeapi.ImageServiceClient, client client.Client) *Puller {
	return &Puller{service: service, client: client, last: map[string]time.Time{}}
}

// NameOf is the image of a pod's container of any kind.
func NameOf(pod *corev1.Pod, container string) string {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == container {
				return list[i].Image
			}
		}
	}
	return ""
}

// Ensure returns the image of a container by its pull policy, or why it is not there.
func (p *Puller) Ensure(ctx context.Context, pod *corev1.Pod, c *corev1.Container, report Report) (Image, *pods.Failure) {
	ref, err := reference.ParseDockerRef(c.Image)
	if err != nil {
		report.Warn("InspectFailed", "Failed to apply default image tag %q: couldn't parse image name %q: %v", c.Image, c.Image, err)
		report.Warn("Failed", "Error: %s", pods.ReasonInvalidImageName)
		return Image{}, &pods.Failure{
			Reason: pods.ReasonInvalidImageName, Message: fmt.Sprintf("Failed to apply default image tag %q: couldn't parse image name %q: %v", c.Image, c.Image, err)}
	}
	image, err := p.inspect(ctx, ref.String())
	if err != nil {
		report.Warn("InspectFailed", "Failed to inspect image %q: %s", c.Image, runtime.Text(err))
		return Image{}, &pods.Failure{Reason: "ImageInspectError", Message: fmt.Sprintf("Failed to inspect image %q: %s", c.Image, runtime.Text(err))}
	}
	policy := pullPolicy(c, ref)
	switch {
	case image != nil && policy != corev1.PullAlways:
		report.Normal("Pulled", "Container image %q already present on machine", c.Image)
		return *image, nil
	case image == nil && policy == corev1.PullNever:
		message := fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image)
		report.Warn(pods.ReasonErrImageNeverPull, "%s", message)
		report.Warn("Failed", "Error: %s", pods.ReasonErrImageNeverPull)
		return Image{}, &pods.Failure{Reason: pods.ReasonErrImageNeverPull, Message: message}
	}
	return p.pull(ctx, pod, c, ref, report)
}

// pullPolicy is the container's, or its default: Always for the tag latest.
func pullPolicy(c *corev1.Container, ref reference.Named) corev1.PullPolicy {
	if c.ImagePullPolicy != "" {
		return c.ImagePullPolicy
	}
	if tagged, ok := ref.(reference.Tagged); ok && tagged.Tag() == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

func (p *Puller) inspect(ctx context.Context, ref string) (*Image, error) {
	response, err := p.service.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	if err != nil || response.Image == nil {
		return nil, err
	}
	p.mu.Lock()
	p.last[response.Image.Id] = time.Now()
	p.mu.Unlock()
	out := &Image{Ref: response.Image.Id, User: podconfig.User{Name: response.Image.Username}}
	if response.Image.Uid != nil {
		out.User.UID = &response.Image.Uid.Value
	}
	return out, nil
}

func (p *Puller) pull(ctx context.Context, pod *corev1.Pod, c *corev1.Container, ref reference.Named, report Report) (Image, *pods.Failure) {
	report.Normal("Pulling", "Pulling image %q", c.Image)
	began := time.Now()
	err := p.tryAll(ctx, pod, ref)
	var image *Image
	if err == nil {
		if image, err = p.inspect(ctx, ref.String()); err == nil && image == nil {
			err = fmt.Errorf("image %s is not there after it was pulled", ref)
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			report.Warn("Failed", "Failed to pull image %q: %s", c.Image, runtime.Text(err))
			report.Warn("Failed", "Error: %s", pods.ReasonErrImagePull)
		}
		return Image{}, &pods.Failure{Reason: pods.ReasonErrImagePull, Message: runtime.Text(err)}
	}
	took := time.Since(began).Truncate(time.Millisecond)
	report.Normal("Pulled", "Successfully pulled image %q in %s (%s including waiting)", c.Image, took, took)
	return *image, nil
}

// tryAll pulls with each credential that fits, or without any.
func (p *Puller) tryAll(ctx context.Context, pod *corev1.Pod, ref reference.Named) error {
	credentials, err := p.credentials(ctx, pod, ref)
	if err != nil {
		return err
	}
	spec := &runtimeapi.ImageSpec{Image: ref.String()}
	if len(credentials) == 0 {
		_, err := p.service.PullImage(ctx, &runtimeapi.PullImageRequest{Image: spec})
		return err
	}
	var last error
	for _, auth := range credentials {
		if _, last = p.service.PullImage(ctx, &runtimeapi.PullImageRequest{Image: spec, Auth: auth}); last == nil {
			return nil
		}
	}
	return last
}
