package images

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Usage is the size of a file system and its free space, in bytes.
type Usage struct {
	Capacity, Available uint64
}

// Candidate is an image that garbage collection may remove.
type Candidate struct {
	ID   string
	Size uint64
	// LastUsed is when it was last needed, or first seen.
	LastUsed time.Time
	// Pinned or InUse images stay.
	Pinned, InUse bool
}

// Removals picks the images to remove: none while usage is below high percent,
// then the longest unused until it is at low percent. Images used within minAge stay.
func Removals(u Usage, high, low int, minAge time.Duration, candidates []Candidate, now time.Time) []Candidate {
	if u.Capacity == 0 || high >= 100 || 100-int(u.Available*100/u.Capacity) < high {
		return nil
	}
	keep := u.Capacity * uint64(100-low) / 100
	if u.Available >= keep {
		return nil
	}
	need := keep - u.Available
	slices.SortFunc(candidates, func(a, b Candidate) int {
		return cmp.Or(a.LastUsed.Compare(b.LastUsed), cmp.Compare(a.ID, b.ID))
	})
	var out []Candidate
	for _, c := range candidates {
		if need == 0 {
			break
		}
		if c.Pinned || c.InUse || now.Sub(c.LastUsed) < minAge {
			continue
		}
		out = append(out, c)
		need -= min(need, c.Size)
	}
	return out
}

// Candidates lists the node's images with when they were last needed. Those that pods have as
// volumes are given by their references: no container shows them.
func (p *Puller) Candidates(ctx context.Context, runtime runtimeapi.RuntimeServiceClient, volumes []string, now time.Time) ([]Candidate, error) {
	listed := time.Now()
	list, err := p.service.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	containers, err := runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	used := map[string]bool{}
	for _, c := range containers.Containers {
		used[c.Image.GetImage()], used[c.ImageRef], used[c.ImageId] = true, true, true
	}
	for _, reference := range volumes {
		response, err := p.service.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: reference}})
		if err != nil {
			return nil, fmt.Errorf("looking at image %s: %w", reference, err)
		}
		used[response.Image.GetId()] = true // empty while it is being pulled
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := map[string]time.Time{}
	var out []Candidate
	for _, i := range list.Images {
		c := Candidate{ID: i.Id, Size: i.Size, Pinned: i.Pinned, LastUsed: p.last[i.Id], InUse: used[i.Id]}
		for _, name := range slices.Concat(i.RepoTags, i.RepoDigests) {
			c.InUse = c.InUse || used[name]
		}
		if c.InUse || c.LastUsed.IsZero() {
			c.LastUsed = now
		}
		last[i.Id] = c.LastUsed
		out = append(out, c)
	}
	p.last = last
	if err := p.records.prune(sets.KeySet(last), listed); err != nil {
		log.FromContext(ctx).Error(err, "Records of removed images were kept")
	}
	return out, nil
}

// Remove removes an image.
func (p *Puller) Remove(ctx context.Context, id string) error {
	if _, err := p.service.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: id}}); err != nil {
		return fmt.Errorf("removing image %s: %w", id, err)
	}
	return nil
}
