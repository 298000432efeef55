package shared

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/index"
)

// addIndexes adds the indexes by which parts look objects up in the cache.
func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range []struct {
		object client.Object
		name   string
		values client.IndexerFunc
	}{
		{&corev1.Pod{}, index.PodNode, index.ByNode},
		{&corev1.Pod{}, index.Owner, index.ByOwner},
		{&corev1.Pod{}, index.PodOrphan, index.ByOrphan},
		{&corev1.Pod{}, index.PodClaim, index.ByClaim},
		{&corev1.Pod{}, index.PodClaimTemplate, index.ByClaimTemplate},
		{&corev1.Pod{}, index.PodVolumeClaim, index.ByVolumeClaim},
		{&storagev1.VolumeAttachment{}, index.AttachmentNode, index.ByAttachmentNode},
		{&storagev1.VolumeAttachment{}, index.AttachmentVolume, index.ByAttachmentVolume},
		{&resourcev1.ResourceClaim{}, index.Owner, index.ByOwner},
		{&appsv1.ReplicaSet{}, index.Owner, index.ByOwner},
		{&appsv1.ReplicaSet{}, index.PodOrphan, index.ByOrphan},
		{&appsv1.ControllerRevision{}, index.Owner, index.ByOwner},
		{&appsv1.ControllerRevision{}, index.PodOrphan, index.ByOrphan},
		{&batchv1.Job{}, index.Owner, index.ByOwner},
	} {
		if err := indexer.IndexField(ctx, i.object, i.name, i.values); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", i.object, i.name, err)
		}
	}
	return nil
}
