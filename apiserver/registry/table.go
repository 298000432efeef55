package registry

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"
)

// Table holds what `kubectl get` shows of T. The words are contract: people parse
// these columns.
type Table[T Object] struct {
	// Columns in order; priority 1 is shown with -o wide only.
	Columns []metav1.TableColumnDefinition
	// Cells of one row, one value a column.
	Cells func(obj T, now time.Time) []any
	// InList, when given, replaces Cells for the rows of a list, where one row
	// may depend on the others.
	InList func(list runtime.Object) func(obj T, now time.Time) []any
}

// Column returns a column of strings that is always shown.
func Column(name string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string"}
}

// NameColumn returns the first column of every table.
func NameColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: "Name must be unique within a namespace."}
}

// Integer makes a column hold numbers.
func Integer(name string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "integer"}
}

// Boolean makes a column hold true or false.
func Boolean(name string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "boolean"}
}

// Wide marks a column for -o wide.
func Wide(c metav1.TableColumnDefinition) metav1.TableColumnDefinition {
	c.Priority = 1
	return c
}

// Age returns how kubectl shows the time since t.
func Age(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

// Convertor is for storages that are not a Kind's.
func (t *Table[T]) Convertor(clk clock.PassiveClock) rest.TableConvertor {
	return &tableConvertor[T]{table: t, clock: clk}
}

func (t *Table[T]) convertor(gvk schema.GroupVersionKind, plural string, clk clock.PassiveClock) rest.TableConvertor {
	if t == nil {
		return rest.NewDefaultTableConvertor(schema.GroupResource{Group: gvk.Group, Resource: plural})
	}
	return &tableConvertor[T]{table: t, clock: clk}
}

type tableConvertor[T Object] struct {
	table *Table[T]
	clock clock.PassiveClock
}

// ConvertToTable implements rest.TableConvertor.
func (c *tableConvertor[T]) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	out := &metav1.Table{}
	if columns := c.table.Columns; len(columns) != 2 || columns[1] != CreatedAt() {
		out.Rows = []metav1.TableRow{} // upstream's default table alone has null for none
	}
	if o, ok := options.(*metav1.TableOptions); !ok || o == nil || !o.NoHeaders {
		out.ColumnDefinitions = c.table.Columns
	}
	now, makeCells := c.clock.Now(), c.table.Cells
	row := func(o runtime.Object) error {
		item, ok := o.(T)
		if !ok {
			return unexpected[T](o)
		}
		cells := makeCells(item, now)
		if len(cells) != len(c.table.Columns) {
			return fmt.Errorf("making a row of %s: %d cells for %d columns", item.GetName(), len(cells), len(c.table.Columns))
		}
		out.Rows = append(out.Rows, metav1.TableRow{Cells: cells, Object: runtime.RawExtension{Object: o}})
		return nil
	}
	if list, err := meta.ListAccessor(obj); err == nil {
		out.ResourceVersion, out.Continue, out.RemainingItemCount = list.GetResourceVersion(), list.GetContinue(), list.GetRemainingItemCount()
		if c.table.InList != nil {
			makeCells = c.table.InList(obj)
		}
		return out, meta.EachListItem(obj, row)
	}
	if o, ok := obj.(metav1.Object); ok {
		out.ResourceVersion = o.GetResourceVersion()
	}
	return out, row(obj)
}
