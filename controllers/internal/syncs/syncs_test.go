package syncs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestCodes(t *testing.T) {
	c := New("x", "Syncs.", "Times.")
	for _, err := range []error{nil, nil, errors.New("no answer"), fmt.Errorf("writing: %w", apierrors.NewNotFound(schema.GroupResource{}, "n"))} {
		c.Synced(time.Second, err)
	}
	want := `# HELP x_sync_total [ALPHA] Syncs.
# TYPE x_sync_total counter
x_sync_total{code="200"} 2
x_sync_total{code="404"} 1
x_sync_total{code="500"} 1
`
	if err := testutil.CollectAndCompare(c.total, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
