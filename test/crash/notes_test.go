package crash

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// notes are the answers that a writer got to its writes. It does not ask again
// when an answer is lost, but remembers that the outcome is unknown.
type notes struct {
	kept, gone sets.Set[string] // acknowledged
	counted    int              // the newest acknowledged value of the counter
	attempted  int              // the newest that was asked for
	writes     int
	odd        []string
	stop       atomic.Bool
}

// write writes, deletes and counts in the namespace notes until it is stopped.
func (n *notes) write(ctx context.Context, u *user) error {
	n.kept, n.gone = sets.New[string](), sets.New[string]()
	for i := 0; !n.stop.Load(); i++ {
		l, err := u.up(ctx)
		if err != nil {
			return fmt.Errorf("writing notes: %w", err)
		}
		c, err := u.client(l)
		if err != nil {
			return fmt.Errorf("writing notes: %w", err)
		}
		if err := n.once(ctx, c, i); err != nil && !cutOff(err) {
			return fmt.Errorf("writing notes: %w", err)
		}
		pause(ctx, 2*time.Millisecond) // there are others
	}
	return nil
}

func (n *notes) once(ctx context.Context, c client.Client, i int) error {
	name := "note-" + strconv.Itoa(i)
	if err := c.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "notes", Name: name}}); err != nil {
		return err
	}
	n.kept.Insert(name)
	n.writes++
	if old := "note-" + strconv.Itoa(i-5); i%2 == 0 && n.kept.Has(old) {
		n.kept.Delete(old)
		if err := c.Delete(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "notes", Name: old}}); err != nil {
			return err
		}
		n.gone.Insert(old)
		n.writes++
	}
	return n.count(ctx, c)
}

// count adds one to the counter, which must be what it was left at.
func (n *notes) count(ctx context.Context, c client.Client) error {
	counter := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "notes", Name: "counter"}}
	err := c.Get(ctx, client.ObjectKeyFromObject(counter), counter)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	value, _ := strconv.Atoi(counter.Data["value"]) // 0 before the first
	if value != n.counted && value != n.attempted {
		n.odd = append(n.odd, fmt.Sprintf("the counter is %d; %d was acknowledged and %d asked for", value, n.counted, n.attempted))
	}
	n.counted, n.attempted = value, value+1
	counter.Data = map[string]string{"value": strconv.Itoa(n.attempted)}
	if err != nil {
		err = c.Create(ctx, counter)
	} else {
		err = c.Update(ctx, counter)
	}
	if err == nil {
		n.counted = n.attempted
		n.writes++
	}
	return err
}

// differences compares what was acknowledged with what is there.
func (n *notes) differences(maps []corev1.ConfigMap) []string {
	found, counter := sets.New[string](), 0
	for i := range maps {
		if maps[i].Namespace == "notes" {
			found.Insert(maps[i].Name)
		}
		if maps[i].Namespace == "notes" && maps[i].Name == "counter" {
			counter, _ = strconv.Atoi(maps[i].Data["value"])
		}
	}
	odd := n.odd
	if lost := n.kept.Difference(found); len(lost) > 0 {
		odd = append(odd, fmt.Sprintf("acknowledged and lost: %v", sets.List(lost)))
	}
	if back := n.gone.Intersection(found); len(back) > 0 {
		odd = append(odd, fmt.Sprintf("deletion acknowledged, but there: %v", sets.List(back)))
	}
	if counter != n.counted && counter != n.attempted {
		odd = append(odd, fmt.Sprintf("the counter is %d; %d was acknowledged and %d asked for", counter, n.counted, n.attempted))
	}
	return odd
}
