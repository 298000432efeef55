package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Import loads an archive (OCI layout or docker save format, plain or gzipped) into
// the containerd behind a socket, unpacks it, and returns the full names of its
// images once CRI lists them. Importing an image again changes nothing. Imported
// images are pinned: no registry could restore one that was removed from a full disk.
func Import(ctx context.Context, socket string, archive io.Reader) ([]string, error) {
	dir, err := os.MkdirTemp("", "coracle-image-")
	if err != nil {
		return nil, fmt.Errorf("importing images: %w", err)
	}
	defer os.RemoveAll(dir)
	images, err := open(dir, archive)
	if err != nil {
		return nil, err
	}
	conn, err := dial(socket)
	if err != nil {
		return nil, fmt.Errorf("connecting to containerd at %s: %w", socket, err)
	}
	defer conn.Close()
	store := newStore(conn)
	ctx, release, err := store.lease(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var names []string
	for _, i := range images {
		if err := store.add(ctx, i); err != nil {
			return nil, fmt.Errorf("importing image %s: %w", i.name, err)
		}
		names = append(names, i.name)
	}
	return names, awaitCRI(ctx, runtimeapi.NewImageServiceClient(conn), names)
}

// awaitCRI waits until CRI has heard of the images, which it does by
// containerd's own events a moment after they exist.
func awaitCRI(ctx context.Context, cri runtimeapi.ImageServiceClient, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, name := range names {
		for delay := 2 * time.Millisecond; ; delay *= 2 {
			got, err := cri.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: name}})
			if err != nil {
				return fmt.Errorf("waiting for image %s to be known: %w", name, err)
			}
			if got.Image != nil {
				break
			}
			timer := time.NewTimer(delay)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return fmt.Errorf("waiting for image %s to be known: %w", name, errors.Join(ctx.Err(), context.Cause(ctx)))
			}
		}
	}
	return nil
}

// dial connects to a socket, a unix:// URL or a path, which may be relative.
func dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix:"+strings.TrimPrefix(socket, "unix://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
}
