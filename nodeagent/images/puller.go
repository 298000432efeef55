package images

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	// Ref is the runtime's name of it.
	Ref  string
	User podconfig.User
	// names are the tags and digests under which the runtime has it.
	names []string
}

// inspectTimeout bounds the question what a failed pull left behind.
const inspectTimeout = 10 * time.Second

// Puller makes sure that images are on the node, pulling what is missing.
type Puller struct {
	service runtimeapi.ImageServiceClient
	client  client.Client
	records *records

	mu   sync.Mutex
	last map[string]time.Time // when an image was last needed, by ID
}

// NewPuller returns a Puller; client reads pull secrets, and dir, which need not
// exist, is where it remembers whose secrets images were pulled with.
func NewPuller(service runtimeapi.ImageServiceClient, client client.Client, dir string) *Puller {
	return &Puller{service: service, client: client, records: newRecords(dir), last: map[string]time.Time{}}
}

// NameOf returns the image of a pod's container of any kind.
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
	usable := image != nil && policy != corev1.PullAlways
	if usable {
		if usable, err = p.mayUse(ctx, pod, ref, image); err != nil {
			report.Warn("Failed", "Error: %s", pods.ReasonErrImagePull)
			return Image{}, &pods.Failure{Reason: pods.ReasonErrImagePull, Message: err.Error()}
		}
	}
	switch {
	case usable:
		report.Normal("Pulled", "Container image %q already present on machine and can be accessed by the pod", c.Image)
		return *image, nil
	case policy == corev1.PullNever:
		message := fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image)
		report.Warn(pods.ReasonErrImageNeverPull, "%s", message)
		report.Warn("Failed", "Error: %s", pods.ReasonErrImageNeverPull)
		return Image{}, &pods.Failure{Reason: pods.ReasonErrImageNeverPull, Message: message}
	}
	return p.pull(ctx, pod, c, ref, image, report)
}

// mayUse reports whether the pod may use an image of the node without pulling it.
func (p *Puller) mayUse(ctx context.Context, pod *corev1.Pod, ref reference.Named, image *Image) (bool, error) {
	secrets := func() ([]pullSecret, error) {
		logins, err := p.logins(ctx, pod, ref)
		out := make([]pullSecret, len(logins))
		for i := range logins {
			out[i] = logins[i].secret
		}
		return out, err
	}
	must, err := p.records.mustPull(ref.Name(), image.Ref, append(image.names, ref.String()), secrets, time.Now())
	return !must && err == nil, err
}

// pullPolicy returns the container's policy, or its default: Always for the tag
// latest.
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
	out := &Image{
		Ref: response.Image.Id, User: podconfig.User{Name: response.Image.Username},
		names: slices.Concat(response.Image.RepoTags, response.Image.RepoDigests),
	}
	if response.Image.Uid != nil {
		out.User.UID = &response.Image.Uid.Value
	}
	return out, nil
}

func (p *Puller) pull(ctx context.Context, pod *corev1.Pod, c *corev1.Container, ref reference.Named, before *Image, report Report) (Image, *pods.Failure) {
	report.Normal("Pulling", "Pulling image %q", c.Image)
	began := time.Now()
	image, err := p.recorded(ctx, pod, ref, before)
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

// recorded pulls, and records who may use what came of it. before is what the
// node had under the name, if anything.
func (p *Puller) recorded(ctx context.Context, pod *corev1.Pod, ref reference.Named, before *Image) (*Image, error) {
	name := ref.String()
	if err := p.records.begin(name); err != nil {
		return nil, err
	}
	by, err := p.tryAll(ctx, pod, ref)
	var image *Image
	if err == nil {
		if image, err = p.inspect(ctx, name); err == nil && image == nil {
			err = fmt.Errorf("image %s is not there after it was pulled", ref)
		}
	}
	if err == nil {
		return image, p.records.pulled(name, ref.Name(), image.Ref, by, time.Now())
	}
	if failed := p.records.failed(name, !p.has(ctx, name, before)); failed != nil {
		return nil, errors.Join(err, failed)
	}
	return nil, err
}

// has reports whether the node certainly has just the image that it had before.
func (p *Puller) has(ctx context.Context, name string, before *Image) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), inspectTimeout)
	defer cancel()
	now, err := p.inspect(ctx, name)
	if err != nil || now == nil || before == nil {
		return err == nil && now == nil && before == nil
	}
	return now.Ref == before.Ref
}

// tryAll pulls with each login that fits, or without any. It returns the secret
// that helped.
func (p *Puller) tryAll(ctx context.Context, pod *corev1.Pod, ref reference.Named) (*pullSecret, error) {
	logins, err := p.logins(ctx, pod, ref)
	if err != nil {
		return nil, err
	}
	spec := &runtimeapi.ImageSpec{Image: ref.String()}
	if len(logins) == 0 {
		_, err := p.service.PullImage(ctx, &runtimeapi.PullImageRequest{Image: spec})
		return nil, err
	}
	var last error
	for _, l := range logins {
		if _, last = p.service.PullImage(ctx, &runtimeapi.PullImageRequest{Image: spec, Auth: l.auth}); last == nil {
			return &l.secret, nil
		}
	}
	return nil, last
}
