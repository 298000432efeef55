package all

import (
	"context"
	"errors"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// libraries have the strategies and tables of these kinds, here as in upstream.
var libraries = map[string]bool{"apiservices": true, "customresourcedefinitions": true}

// TestErrorsOfMetadataOnce creates every kind, and updates it and its status, with
// metadata that several checks refuse: each error is reported once, as by upstream.
func TestErrorsOfMetadataOnce(t *testing.T) {
	m := newMill(t)
	for gvk, old := range m.original {
		r := m.of[gvk]
		held := m.shelves[r.GVR().GroupResource()]
		if held == nil || libraries[r.Plural] || registry.StoreOf(m.built[r.GVR()][""]) == nil {
			continue
		}
		old := old.DeepCopyObject()
		old.(metav1.Object).SetResourceVersion("1")
		old.(metav1.Object).SetUID("a")
		held.held = old
		for sub, st := range m.built[r.GVR()] {
			u, ok := st.(rest.Updater)
			if !ok || sub != "" && sub != "status" {
				continue
			}
			bad := old.DeepCopyObject()
			bad.(metav1.Object).SetUID("other")
			bad.(metav1.Object).SetFinalizers([]string{"x y"})
			_, _, err := u.Update(m.context(r, bad), bad.(metav1.Object).GetName(), rest.DefaultUpdatedObjectInfo(bad), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			expectOnce(t, r.Plural+"/"+sub, err)
		}
		held.held = nil
		if c, ok := m.built[r.GVR()][""].(rest.Creater); ok {
			bad := old.DeepCopyObject()
			bad.(metav1.Object).SetResourceVersion("")
			bad.(metav1.Object).SetFinalizers([]string{"x y", "x y"})
			_, err := c.Create(m.context(r, bad), bad, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
			expectOnce(t, "new "+r.Plural, err)
		}
	}
}

func expectOnce(t *testing.T, what string, err error) {
	t.Helper()
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return
	}
	seen := map[metav1.StatusCause]bool{}
	for _, cause := range status.Status().Details.Causes {
		if seen[cause] {
			t.Errorf("%s: twice %v", what, cause)
		}
		seen[cause] = true
	}
}

// TestTableOfNothing expects an empty list of rows of an empty list, and null where
// upstream has the library's default table.
func TestTableOfNothing(t *testing.T) {
	m := newMill(t)
	for gvk := range m.original {
		r := m.of[gvk]
		tables, ok := m.built[r.GVR()][""].(rest.TableConvertor)
		lister, lists := m.built[r.GVR()][""].(rest.Lister)
		if !ok || !lists || libraries[r.Plural] {
			continue
		}
		table, err := tables.ConvertToTable(context.Background(), lister.NewList(), nil)
		usual := len(table.ColumnDefinitions) == 2 && table.ColumnDefinitions[1].Name == "Created At"
		if err != nil || (table.Rows == nil) != usual {
			t.Errorf("%s: rows %v, %v", r.Plural, table, err)
		}
	}
}

// TestStatusOfFlowControl changes metadata through the status: it is put back, all of it.
func TestStatusOfFlowControl(t *testing.T) {
	m := newMill(t)
	for gvk, old := range m.original {
		if gvk.Group != "flowcontrol.apiserver.k8s.io" {
			continue
		}
		r, old := m.of[gvk], old.DeepCopyObject()
		old.(metav1.Object).SetResourceVersion("1")
		m.shelves[r.GVR().GroupResource()].held = old
		changed := old.DeepCopyObject()
		seconds := int64(0)
		changed.(metav1.Object).SetDeletionGracePeriodSeconds(&seconds)
		u := m.built[r.GVR()]["status"].(rest.Updater)
		_, _, err := u.Update(m.context(r, changed), old.(metav1.Object).GetName(), rest.DefaultUpdatedObjectInfo(changed), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		if err != nil && strings.Contains(err.Error(), "metadata") {
			t.Errorf("%s: %v", r.Plural, err)
		}
	}
}

// TestTableOfScale has the columns that upstream prints of a Scale.
func TestTableOfScale(t *testing.T) {
	m := newMill(t)
	for _, r := range Default() {
		tables, ok := m.built[r.GVR()]["scale"].(rest.TableConvertor)
		if !ok {
			continue
		}
		scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: autoscalingv1.ScaleSpec{Replicas: 3}, Status: autoscalingv1.ScaleStatus{Replicas: 2}}
		table, err := tables.ConvertToTable(context.Background(), scale, nil)
		if err != nil || len(table.Rows) != 1 || len(table.Rows[0].Cells) != 4 || table.Rows[0].Cells[1] != int64(3) || table.Rows[0].Cells[2] != int64(2) {
			t.Errorf("%s: %v, %v", r.Plural, table, err)
		}
	}
}
