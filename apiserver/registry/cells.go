package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Pure makes a Kind's Validate of a function that needs no context.
func Pure[T any](f func(T) field.ErrorList) func(context.Context, T) field.ErrorList {
	return func(_ context.Context, obj T) field.ErrorList { return f(obj) }
}

// PureUpdate makes a Kind's ValidateUpdate of a function that needs no context.
func PureUpdate[T any](f func(obj, old T) field.ErrorList) func(context.Context, T, T) field.ErrorList {
	return func(_ context.Context, obj, old T) field.ErrorList { return f(obj, old) }
}

// None is kubectl's text for an empty value.
const None = "<none>"

// Containers returns the cells of a workload's containers and their images.
func Containers(containers []corev1.Container) (names, images string) {
	n, i := make([]string, len(containers)), make([]string, len(containers))
	for at, c := range containers {
		n[at], i[at] = c.Name, c.Image
	}
	return strings.Join(n, ","), strings.Join(i, ",")
}

// Ratio returns the cell "1/3".
func Ratio(part, whole int32) string { return fmt.Sprintf("%d/%d", part, whole) }

// SelectorText returns a selector as the scale subresource carries it, "" when it is invalid.
func SelectorText(s *metav1.LabelSelector) string {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return ""
	}
	return selector.String()
}

// SelectorCell returns a selector as kubectl shows it.
func SelectorCell(s *metav1.LabelSelector) string {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return "<invalid>"
	}
	return selector.String()
}

// FirstOf lists up to three of items and the number of further ones. For an
// empty list it returns empty.
func FirstOf(items []string, empty string) string {
	const shown = 3
	if len(items) > shown {
		return fmt.Sprintf("%s + %d more...", strings.Join(items[:shown], ","), len(items)-shown)
	}
	return cmp.Or(strings.Join(items, ","), empty)
}

// CreatedAt returns the column and CreatedAtCell the cell of kinds that show
// when they were made instead of their age.
func CreatedAt() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Created At", Type: "date"}
}

// CreatedAtCell formats t for CreatedAt.
func CreatedAtCell(t metav1.Time) string { return t.UTC().Format(time.RFC3339) }

// AccessModes returns the cell of a volume's access modes: RWO, ROX, RWX, RWOP.
func AccessModes(modes []corev1.PersistentVolumeAccessMode) string {
	var short []string
	for _, known := range []struct {
		mode corev1.PersistentVolumeAccessMode
		name string
	}{
		{corev1.ReadWriteOnce, "RWO"}, {corev1.ReadOnlyMany, "ROX"}, {corev1.ReadWriteMany, "RWX"}, {corev1.ReadWriteOncePod, "RWOP"},
	} {
		if slices.Contains(modes, known.mode) {
			short = append(short, known.name)
		}
	}
	return strings.Join(short, ",")
}
