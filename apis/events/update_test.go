package events

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestEventTimeStays updates an event of the new API, whose time is set.
func TestEventTimeStays(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6007, time.UTC)
	old := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "e", ResourceVersion: "1"}, InvolvedObject: corev1.ObjectReference{Namespace: "default"},
		EventTime: metav1.NewMicroTime(at), ReportingController: "a.test/c", ReportingInstance: "c-1", Action: "Act", Reason: "Why", Type: corev1.EventTypeNormal,
	}
	for name, c := range map[string]struct {
		time time.Time
		want string
	}{
		"same":                     {at, ""},
		"rounded to microseconds":  {at.Truncate(time.Microsecond), ""},
		"in another zone":          {at.In(time.FixedZone("x", 3600)), ""},
		"another by a microsecond": {at.Add(time.Microsecond), "eventTime: Invalid value"},
	} {
		t.Run(name, func(t *testing.T) {
			e := old.DeepCopy()
			e.EventTime = metav1.NewMicroTime(c.time)
			e.Series = &corev1.EventSeries{Count: 2, LastObservedTime: metav1.NewMicroTime(at)}
			errs := ValidateUpdate(e, old, false)
			switch {
			case c.want == "" && len(errs) != 0:
				t.Errorf("got %v", errs)
			case c.want != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), c.want)):
				t.Errorf("got %v, want %q", errs, c.want)
			}
		})
	}
}
