package fake

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Protect makes pulls of an image need a password.
func (r *Runtime) Protect(image, password string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passwords[image] = password
}

// Have gives the runtime an image, as if another client had pulled it.
func (r *Runtime) Have(image string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.have(image)
}

func (r *Runtime) have(image string) {
	r.images[image] = &runtimeapi.Image{Id: "sha256:" + image, RepoTags: []string{image}}
}

// Count returns how often a call, named as in CRI, was made.
func (r *Runtime) Count(call string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, c := range r.calls {
		if c == call {
			n++
		}
	}
	return n
}

// ImageStatus implements CRI.
func (r *Runtime) ImageStatus(_ context.Context, in *runtimeapi.ImageStatusRequest, _ ...grpc.CallOption) (*runtimeapi.ImageStatusResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("ImageStatus"); err != nil {
		return nil, err
	}
	return &runtimeapi.ImageStatusResponse{Image: r.images[in.Image.Image]}, nil
}

// PullImage implements CRI.
func (r *Runtime) PullImage(_ context.Context, in *runtimeapi.PullImageRequest, _ ...grpc.CallOption) (*runtimeapi.PullImageResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("PullImage"); err != nil {
		return nil, err
	}
	if password := r.passwords[in.Image.Image]; password != in.Auth.GetPassword() && password != "" {
		return nil, status.Error(codes.PermissionDenied, "pull access denied")
	}
	r.have(in.Image.Image)
	return &runtimeapi.PullImageResponse{ImageRef: "sha256:" + in.Image.Image}, nil
}

// ListImages implements CRI.
func (r *Runtime) ListImages(context.Context, *runtimeapi.ListImagesRequest, ...grpc.CallOption) (*runtimeapi.ListImagesResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("ListImages"); err != nil {
		return nil, err
	}
	out := &runtimeapi.ListImagesResponse{}
	for _, i := range r.images {
		out.Images = append(out.Images, i)
	}
	slices.SortFunc(out.Images, func(a, b *runtimeapi.Image) int { return cmp.Compare(a.Id, b.Id) })
	return out, nil
}

// RemoveImage implements CRI.
func (r *Runtime) RemoveImage(_ context.Context, in *runtimeapi.RemoveImageRequest, _ ...grpc.CallOption) (*runtimeapi.RemoveImageResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("RemoveImage"); err != nil {
		return nil, err
	}
	for name, i := range r.images {
		if i.Id == in.Image.Image || name == in.Image.Image {
			delete(r.images, name)
		}
	}
	return &runtimeapi.RemoveImageResponse{}, nil
}
