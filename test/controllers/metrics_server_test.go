package controllers

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	custom "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	external "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	resources "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// metricsServer serves the three metrics APIs: a load that the pods share.
type metricsServer struct {
	moving
	mu sync.Mutex
	// load is in thousandths, of each workload.
	load int64
}

func (s *metricsServer) set(load int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load = load
}

// serveMetrics registers a server of this process for the metrics APIs.
func serveMetrics(m moving, load int64) *metricsServer {
	s := &metricsServer{moving: m, load: load}
	address := ""
	addresses, err := net.InterfaceAddrs()
	m.Expect(err).NotTo(HaveOccurred())
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			address = n.IP.String()
		}
	}
	if address == "" {
		m.t.Skip("this machine has no address but loopback, which endpoints may not have")
	}
	server := httptest.NewUnstartedServer(s)
	m.Expect(server.Listener.Close()).To(Succeed())
	server.Listener, err = net.Listen("tcp", net.JoinHostPort(address, "0"))
	m.Expect(err).NotTo(HaveOccurred())
	server.TLS = &tls.Config{}
	server.StartTLS()
	m.t.Cleanup(server.Close)
	ctx, meta := m.t.Context(), metav1.ObjectMeta{Namespace: "default", Name: "metrics", Labels: map[string]string{discoveryv1.LabelServiceName: "metrics"}}
	m.Expect(m.Client.Create(ctx, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}}}})).To(Succeed())
	m.Expect(m.Client.Create(ctx, &discoveryv1.EndpointSlice{ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}}},
		Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("https"), Port: ptr.To(int32(server.Listener.Addr().(*net.TCPAddr).Port)), Protocol: ptr.To(corev1.ProtocolTCP)}},
	})).To(Succeed())
	scheme := runtime.NewScheme()
	m.Expect(apiregistrationv1.AddToScheme(scheme)).To(Succeed())
	registrations, err := client.New(m.Config, client.Options{Scheme: scheme})
	m.Expect(err).NotTo(HaveOccurred())
	for _, version := range []string{"v1beta1.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"} {
		name, group, _ := strings.Cut(version, ".")
		r := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: version}, Spec: apiregistrationv1.APIServiceSpec{
			Group: group, Version: name, GroupPriorityMinimum: 100, VersionPriority: 100, InsecureSkipTLSVerify: true,
			Service: &apiregistrationv1.ServiceReference{Namespace: "default", Name: "metrics"},
		}}
		m.Expect(registrations.Create(ctx, r)).To(Succeed())
		m.Eventually(func() []apiregistrationv1.APIServiceCondition {
			m.Expect(registrations.Get(ctx, client.ObjectKeyFromObject(r), r)).To(Succeed())
			return r.Status.Conditions
		}).Should(ContainElement(And(HaveField("Type", apiregistrationv1.Available), HaveField("Status", apiregistrationv1.ConditionTrue))))
	}
	return s
}

// ServeHTTP answers with what the metrics APIs' clients ask for.
func (s *metricsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	load := s.load
	s.mu.Unlock()
	path, query := strings.Split(strings.Trim(r.URL.Path, "/"), "/"), r.URL.Query()
	at := metav1.NewTime(s.clock.Now())
	value := func(milli int64) resource.Quantity { return *resource.NewMilliQuantity(milli, resource.DecimalSI) }
	var answer any
	switch {
	case len(path) == 3: // the version itself: discovery, and the check of availability
		answer = metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: path[1] + "/" + path[2]}
	case path[1] == resources.GroupName:
		list := resources.PodMetricsList{}
		pods := s.pods(query.Get("labelSelector"))
		for i := range pods {
			each := load / int64(len(pods))
			list.Items = append(list.Items, resources.PodMetrics{ObjectMeta: metav1.ObjectMeta{Name: pods[i]}, Timestamp: at, Window: metav1.Duration{Duration: 15 * time.Second},
				Containers: []resources.ContainerMetrics{{Name: "c", Usage: corev1.ResourceList{corev1.ResourceCPU: value(each)}}, {Name: "side", Usage: corev1.ResourceList{corev1.ResourceCPU: value(0)}}}})
		}
		answer = list
	case path[1] == custom.GroupName && path[5] == "pods": // namespaces/default/pods/*/hits
		list := custom.MetricValueList{}
		pods := s.pods(query.Get("labelSelector"))
		for i := range pods {
			list.Items = append(list.Items, custom.MetricValue{DescribedObject: corev1.ObjectReference{Name: pods[i]}, Timestamp: at, Value: value(load / int64(len(pods)))})
		}
		answer = list
	case path[1] == custom.GroupName: // namespaces/default/services/NAME/hits
		answer = custom.MetricValueList{Items: []custom.MetricValue{{Timestamp: at, Value: value(load)}}}
	case query.Get("labelSelector") == "queue=mail":
		answer = external.ExternalMetricValueList{Items: []external.ExternalMetricValue{{Timestamp: at, Value: value(load / 4)}, {Timestamp: at, Value: value(load - load/4)}}}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *metricsServer) pods(selector string) (names []string) {
	parsed, err := labels.Parse(selector)
	if err != nil {
		return nil
	}
	var list corev1.PodList
	if s.Client.List(s.t.Context(), &list, client.InNamespace("default"), client.MatchingLabelsSelector{Selector: parsed}) != nil {
		return nil
	}
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			names = append(names, list.Items[i].Name)
		}
	}
	return names
}
