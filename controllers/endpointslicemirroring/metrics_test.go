package endpointslicemirroring

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

func TestMetrics(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "default", Name: "e", UID: "u"}
	e := &corev1.Endpoints{ObjectMeta: meta, Subsets: []corev1.EndpointSubset{{
		Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}, {IP: "10.0.0.2"}, {IP: "none"}}, Ports: []corev1.EndpointPort{{Port: 80}},
	}}}
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(e, &corev1.Service{ObjectMeta: meta}).Build()
	r := New(controllers.Deps{Client: c, Clock: clock.RealClock{}, Recorder: recorders.Always(record.NewFakeRecorder(10))})
	if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e)}); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.Collectors()...)
	want := `# HELP endpoint_slice_mirroring_controller_changes [ALPHA] Number of EndpointSlice changes
# TYPE endpoint_slice_mirroring_controller_changes counter
endpoint_slice_mirroring_controller_changes{operation="create"} 1
# HELP endpoint_slice_mirroring_controller_desired_endpoint_slices [ALPHA] Number of EndpointSlices that would exist with perfect endpoint allocation
# TYPE endpoint_slice_mirroring_controller_desired_endpoint_slices gauge
endpoint_slice_mirroring_controller_desired_endpoint_slices 1
# HELP endpoint_slice_mirroring_controller_endpoints_desired [ALPHA] Number of endpoints desired
# TYPE endpoint_slice_mirroring_controller_endpoints_desired gauge
endpoint_slice_mirroring_controller_endpoints_desired 2
# HELP endpoint_slice_mirroring_controller_num_endpoint_slices [ALPHA] Number of EndpointSlices
# TYPE endpoint_slice_mirroring_controller_num_endpoint_slices gauge
endpoint_slice_mirroring_controller_num_endpoint_slices 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), subsystem+"_changes", subsystem+"_desired_endpoint_slices",
		subsystem+"_endpoints_desired", subsystem+"_num_endpoint_slices"); err != nil {
		t.Error(err)
	}
	for name, value := range map[string]float64{"endpoints_added_per_sync": 2, "endpoints_updated_per_sync": 0, "endpoints_removed_per_sync": 0, "addresses_skipped_per_sync": 1} {
		if got := sum(t, registry, subsystem+"_"+name); got != value {
			t.Errorf("%s is %v, want %v", name, got, value)
		}
	}
	var slices discoveryv1.EndpointSliceList
	if err := c.List(t.Context(), &slices); err != nil || len(slices.Items) != 1 {
		t.Errorf("%v %v", slices.Items, err)
	}
}

// sum returns that of a histogram with one observation.
func sum(t *testing.T, registry *prometheus.Registry, name string) float64 {
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); f.GetName() == name && h.GetSampleCount() == 1 {
			return h.GetSampleSum()
		}
	}
	t.Fatalf("no histogram %s of one sample", name)
	return 0
}
