package job

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func hasFinalizer(p client.Object) bool {
	return slices.Contains(p.GetFinalizers(), batchv1.JobTrackingFinalizer)
}

// tracked returns the UIDs of the pods that have the finalizer.
func tracked(pods []*corev1.Pod) []types.UID {
	var uids []types.UID
	for _, p := range pods {
		if hasFinalizer(p) {
			uids = append(uids, p.UID)
		}
	}
	return uids
}

// removeFinalizer lets a pod go. It names the UID, so that another pod of the
// same name keeps its own.
func removeFinalizer(ctx context.Context, c client.Client, p *corev1.Pod) error {
	if !hasFinalizer(p) {
		return nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": p.UID, "$deleteFromPrimitiveList/finalizers": []string{batchv1.JobTrackingFinalizer}}})
	if err != nil {
		return fmt.Errorf("encoding the patch: %w", err)
	}
	named := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}
	return c.Patch(ctx, named, client.RawPatch(types.StrategicMergePatchType, body))
}
