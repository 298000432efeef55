package node

import (
	"context"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
)

// Kinds of objects that name their node themselves.
const (
	attachments         = "volumeattachments"
	resourceSlices      = "resourceslices"
	certificateRequests = "podcertificaterequests"

	byNode = "node"
)

// named are the objects of a kind by the node that they name.
type named interface {
	Run(ctx context.Context) error
	Sync(ctx context.Context) error
	Wait(ctx context.Context, holds func() bool) error
	Has(index, value string) bool
}

// namedBy leaves out the kinds that the server has not: no node has any.
func namedBy(w Watches) map[string]named {
	kinds := map[string]named{}
	if w.VolumeAttachments != nil {
		kinds[attachments] = names(w.VolumeAttachments, func(o *storagev1.VolumeAttachment) string { return o.Spec.NodeName },
			func(m metav1.ObjectMeta) *storagev1.VolumeAttachment {
				return &storagev1.VolumeAttachment{ObjectMeta: m}
			})
	}
	if w.ResourceSlices != nil {
		kinds[resourceSlices] = names(w.ResourceSlices, func(o *resourcev1.ResourceSlice) string {
			if o.Spec.NodeName == nil {
				return ""
			}
			return *o.Spec.NodeName
		}, func(m metav1.ObjectMeta) *resourcev1.ResourceSlice { return &resourcev1.ResourceSlice{ObjectMeta: m} })
	}
	if w.PodCertificateRequests != nil {
		kinds[certificateRequests] = names(w.PodCertificateRequests, func(o *certificatesv1beta1.PodCertificateRequest) string { return string(o.Spec.NodeName) },
			func(m metav1.ObjectMeta) *certificatesv1beta1.PodCertificateRequest {
				return &certificatesv1beta1.PodCertificateRequest{ObjectMeta: m}
			})
	}
	return kinds
}

// names watches a kind and keeps of each object its name, under its node's.
func names[T mirror.Object](from cache.ListerWatcher, node func(T) string, bare func(metav1.ObjectMeta) T) named {
	return mirror.NewTrimmed(from, map[string]mirror.Index[T]{byNode: func(o T) []string {
		if n := node(o); n != "" {
			return []string{nameKey(n, o.GetNamespace(), o.GetName())}
		}
		return nil
	}}, func(o T) T {
		return bare(metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName(), ResourceVersion: o.GetResourceVersion()})
	})
}

func nameKey(node, namespace, name string) string { return node + "|" + namespace + "/" + name }
