package customresources

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	stock "k8s.io/apiextensions-apiserver/pkg/controller/finalizer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// finalizing reports whether the definition is being deleted and waits for this server.
func finalizing(crd *definitionCRD) bool {
	return crd.DeletionTimestamp != nil && apihelpers.CRDHasFinalizer(crd, apiextensionsv1.CustomResourceCleanupFinalizer)
}

// finalize deletes the objects of a definition and then lets it go. It is
// called again when objects that stay because of finalizers go.
func (s *Server) finalize(ctx context.Context, d *definition) error {
	crd := d.crd.DeepCopy()
	done, left, err := s.empty(ctx, d)
	if err != nil {
		done = condition{Status: apiextensionsv1.ConditionTrue, Reason: "InstanceDeletionFailed", Message: fmt.Sprintf("could not issue all deletes: %v", err)}
	} else if left > 0 {
		done = condition{Status: apiextensionsv1.ConditionTrue, Reason: "InstanceDeletionInProgress", Message: "CustomResource deletion is in progress"}
	}
	done.Type = apiextensionsv1.Terminating
	setCondition(&crd.Status, done, metav1.NewTime(s.config.Clock.Now()))
	if err != nil || left > 0 {
		if d.unwritten || !slices.Equal(crd.Status.Conditions, d.crd.Status.Conditions) {
			_, failed := s.write(ctx, crd)
			err = errors.Join(err, failed)
		}
		return err
	}
	apihelpers.CRDRemoveFinalizer(crd, apiextensionsv1.CustomResourceCleanupFinalizer)
	_, err = s.write(ctx, crd)
	return err
}

// empty deletes the objects and counts those that are left.
func (s *Server) empty(ctx context.Context, d *definition) (condition, int, error) {
	gr := schema.GroupResource{Group: d.crd.Spec.Group, Resource: d.crd.Spec.Names.Plural}
	if stock.OverlappingBuiltInResources()[gr] {
		return condition{Status: apiextensionsv1.ConditionFalse, Reason: "OverlappingBuiltInResource", Message: "instances overlap with built-in resources in storage"}, 0, nil
	}
	if d.serving == nil {
		return condition{Status: apiextensionsv1.ConditionFalse, Reason: "NeverEstablished", Message: "resource was never established"}, 0, nil
	}
	done := condition{Status: apiextensionsv1.ConditionFalse, Reason: "InstanceDeletionCompleted", Message: "removed all instances"}
	// Most definitions that go have no objects: then nothing need be opened.
	if n, err := s.config.Stored(ctx, gr); err != nil || n == 0 {
		return done, 0, err
	}
	stored, err := apihelpers.GetCRDStorageVersion(d.crd)
	if err != nil {
		return condition{}, 0, err
	}
	v, err := d.serving.version(ctx, stored)
	if err != nil {
		return condition{}, 0, err
	}
	// A list without a resource version is consistent with what is stored.
	list, err := v.storage.CustomResource.List(ctx, nil)
	if err != nil {
		return condition{}, 0, fmt.Errorf("listing instances: %w", err)
	}
	var errs []error
	for _, namespace := range namespaces(list) {
		if _, err := v.storage.CustomResource.DeleteCollection(request.WithNamespace(ctx, namespace), rest.ValidateAllObjectFunc, nil, nil); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return condition{}, 0, err
	}
	left, err := s.config.Stored(ctx, gr)
	return done, int(left), err
}

func namespaces(list runtime.Object) []string {
	var names []string
	items, ok := list.(*unstructured.UnstructuredList)
	if !ok {
		return nil
	}
	for i := range items.Items {
		names = append(names, items.Items[i].GetNamespace())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// afterDelete looks at a definition that waits for its objects' end.
func (s *Server) afterDelete(name string) func(runtime.Object, *metav1.DeleteOptions) {
	return func(runtime.Object, *metav1.DeleteOptions) {
		s.mu.RLock()
		d := s.byName[name]
		s.mu.RUnlock()
		if d != nil && finalizing(d.crd) {
			s.queue.Add(name)
		}
	}
}
