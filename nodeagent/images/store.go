package images

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	content "github.com/containerd/containerd/api/services/content/v1"
	diff "github.com/containerd/containerd/api/services/diff/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leases "github.com/containerd/containerd/api/services/leases/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// containerd's names: the namespace that CRI uses and the labels that tie
// content together so that its garbage collection keeps what an image needs, see
// https://github.com/containerd/containerd/blob/main/docs/garbage-collection.md.
const (
	namespace       = "k8s.io"
	snapshotter     = "overlayfs"
	labelRefContent = "containerd.io/gc.ref.content."
	labelRefSnap    = "containerd.io/gc.ref.snapshot." + snapshotter
	labelManaged    = "io.cri-containerd.image"
	labelPinned     = "io.cri-containerd.pinned"
	labelUncompress = "containerd.io/uncompressed"
)

// store writes images through containerd's API.
type store struct {
	content   content.ContentClient
	images    imagesapi.ImagesClient
	leases    leases.LeasesClient
	snapshots snapshots.SnapshotsClient
	diff      diff.DiffClient
}

func newStore(conn *grpc.ClientConn) *store {
	return &store{
		content: content.NewContentClient(conn), images: imagesapi.NewImagesClient(conn),
		leases: leases.NewLeasesClient(conn), snapshots: snapshots.NewSnapshotsClient(conn), diff: diff.NewDiffClient(conn),
	}
}

// lease protects what is written under the returned context from garbage
// collection until release is called.
func (s *store) lease(ctx context.Context) (_ context.Context, release func(), _ error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
	id := "coracle-import-" + rand.Text()
	expire := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	_, err := s.leases.Create(ctx, &leases.CreateRequest{ID: id, Labels: map[string]string{"containerd.io/gc.expire": expire}})
	if err != nil {
		return nil, nil, fmt.Errorf("creating containerd lease: %w", err)
	}
	leased := metadata.AppendToOutgoingContext(ctx, "containerd-lease", id)
	return leased, func() {
		// It expires by itself if this fails.
		_, _ = s.leases.Delete(context.WithoutCancel(ctx), &leases.DeleteRequest{ID: id})
	}, nil
}

func exists(err error) bool { return status.Code(err) == codes.AlreadyExists }

// add stores one image: layers, their snapshots, config, manifest, and its name.
func (s *store) add(ctx context.Context, i named) error {
	layers, err := i.image.Layers()
	if err != nil {
		return fmt.Errorf("reading layers: %w", err)
	}
	labels := map[string]string{}
	var chain []digest.Digest
	for n, layer := range layers {
		d, diffID, err := s.addLayer(ctx, layer)
		if err != nil {
			return err
		}
		labels[fmt.Sprintf("%sl.%d", labelRefContent, n)] = d.Digest
		if err := s.unpack(ctx, d, chain, diffID); err != nil {
			return err
		}
		chain = append(chain, diffID)
	}
	config, err := i.image.RawConfigFile()
	if err != nil {
		return fmt.Errorf("reading config: %w", err)
	}
	configDigest := digest.FromBytes(config)
	snap := map[string]string{labelRefSnap: identity.ChainID(chain).String()}
	if err := s.write(ctx, configDigest.String(), int64(len(config)), snap, bytes.NewReader(config)); err != nil {
		return err
	}
	labels[labelRefContent+"config"] = configDigest.String()
	return s.name(ctx, i, labels)
}

// name stores the manifest and points the image's name at it.
func (s *store) name(ctx context.Context, i named, labels map[string]string) error {
	manifest, err := i.image.RawManifest()
	if err != nil {
		return fmt.Errorf("reading manifest: %w", err)
	}
	mediaType, err := i.image.MediaType()
	if err != nil {
		return fmt.Errorf("reading manifest: %w", err)
	}
	d := digest.FromBytes(manifest)
	if err := s.write(ctx, d.String(), int64(len(manifest)), labels, bytes.NewReader(manifest)); err != nil {
		return err
	}
	image := &imagesapi.Image{
		Name: i.name, Labels: map[string]string{labelManaged: "managed", labelPinned: "pinned"}, CreatedAt: timestamppb.Now(), UpdatedAt: timestamppb.Now(),
		Target: &types.Descriptor{MediaType: string(mediaType), Digest: d.String(), Size: int64(len(manifest))},
	}
	_, err = s.images.Create(ctx, &imagesapi.CreateImageRequest{Image: image})
	if exists(err) {
		_, err = s.images.Update(ctx, &imagesapi.UpdateImageRequest{Image: image})
	}
	if err != nil {
		return fmt.Errorf("naming image: %w", err)
	}
	return nil
}

func (s *store) addLayer(ctx context.Context, layer v1.Layer) (*types.Descriptor, digest.Digest, error) {
	d, err := layer.Digest()
	if err != nil {
		return nil, "", fmt.Errorf("reading layer: %w", err)
	}
	diffID, err := layer.DiffID()
	if err != nil {
		return nil, "", fmt.Errorf("reading layer %s: %w", d, err)
	}
	size, err := layer.Size()
	if err != nil {
		return nil, "", fmt.Errorf("reading layer %s: %w", d, err)
	}
	mediaType, err := layer.MediaType()
	if err != nil {
		return nil, "", fmt.Errorf("reading layer %s: %w", d, err)
	}
	in, err := layer.Compressed()
	if err != nil {
		return nil, "", fmt.Errorf("reading layer %s: %w", d, err)
	}
	defer in.Close()
	labels := map[string]string{labelUncompress: diffID.String()}
	if err := s.write(ctx, d.String(), size, labels, in); err != nil {
		return nil, "", err
	}
	return &types.Descriptor{MediaType: string(mediaType), Digest: d.String(), Size: size}, digest.Digest(diffID.String()), nil
}

// write stores one blob, or only its labels if it is there.
func (s *store) write(ctx context.Context, d string, size int64, labels map[string]string, in io.Reader) error {
	err := s.upload(ctx, d, size, labels, in)
	if exists(err) {
		info := &content.Info{Digest: d, Labels: labels}
		mask := &fieldmaskpb.FieldMask{}
		for l := range maps.Keys(labels) {
			mask.Paths = append(mask.Paths, "labels."+l)
		}
		_, err = s.content.Update(ctx, &content.UpdateRequest{Info: info, UpdateMask: mask})
	}
	if err != nil {
		return fmt.Errorf("writing blob %s: %w", d, err)
	}
	return nil
}

func (s *store) upload(ctx context.Context, d string, size int64, labels map[string]string, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.content.Write(ctx)
	if err != nil {
		return err
	}
	send := func(r *content.WriteContentRequest) error {
		if err := stream.Send(r); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		_, err := stream.Recv() // has the reason if Send got EOF
		return err
	}
	ref := "coracle-import-" + d
	if err := send(&content.WriteContentRequest{Action: content.WriteAction_STAT, Ref: ref, Total: size, Expected: d}); err != nil {
		return err
	}
	buffer := make([]byte, 1<<20)
	for offset := int64(0); ; {
		n, err := io.ReadFull(in, buffer)
		if n > 0 {
			if err := send(&content.WriteContentRequest{Action: content.WriteAction_WRITE, Ref: ref, Offset: offset, Data: buffer[:n]}); err != nil {
				return err
			}
			offset += int64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return send(&content.WriteContentRequest{
				Action: content.WriteAction_COMMIT, Ref: ref, Offset: offset, Total: size, Expected: d, Labels: labels,
			})
		}
		if err != nil {
			return err
		}
	}
}

// unpack makes the snapshot of a layer on top of those below.
func (s *store) unpack(ctx context.Context, layer *types.Descriptor, below []digest.Digest, diffID digest.Digest) error {
	parent := ""
	if len(below) > 0 {
		parent = identity.ChainID(below).String()
	}
	chainID := identity.ChainID(append(below[:len(below):len(below)], diffID)).String()
	if _, err := s.snapshots.Stat(ctx, &snapshots.StatSnapshotRequest{Snapshotter: snapshotter, Key: chainID}); err == nil {
		return nil
	}
	key := "coracle-import-" + rand.Text()
	prepared, err := s.snapshots.Prepare(ctx, &snapshots.PrepareSnapshotRequest{Snapshotter: snapshotter, Key: key, Parent: parent})
	if err != nil {
		return fmt.Errorf("preparing snapshot of layer %s: %w", layer.Digest, err)
	}
	applied, err := s.diff.Apply(ctx, &diff.ApplyRequest{Diff: layer, Mounts: prepared.Mounts})
	if err == nil && applied.Applied.Digest != diffID.String() {
		err = fmt.Errorf("content is %s, the image's config says %s", applied.Applied.Digest, diffID)
	}
	if err == nil {
		_, err = s.snapshots.Commit(ctx, &snapshots.CommitSnapshotRequest{Snapshotter: snapshotter, Name: chainID, Key: key})
	}
	if err != nil {
		_, _ = s.snapshots.Remove(context.WithoutCancel(ctx), &snapshots.RemoveSnapshotRequest{Snapshotter: snapshotter, Key: key})
		if exists(err) {
			return nil
		}
		return fmt.Errorf("unpacking layer %s: %w", layer.Digest, err)
	}
	return nil
}
