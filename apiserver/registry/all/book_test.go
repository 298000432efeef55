package all

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apis/networking"
)

// TestServicesAreInTheBook finds an IPAddress for each ClusterIP, and none for
// what was refused or is gone.
func TestServicesAreInTheBook(t *testing.T) {
	w := newWorld(t, nil)
	service := func(name, ip string, port int32) *corev1.Service {
		return &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: []corev1.ServicePort{{Port: port}}}}
	}
	w.mustCreate("services", service("s", "10.96.0.9", 80))
	found, err := w.get("ipaddresses.networking.k8s.io", "", "10.96.0.9")
	if err != nil {
		t.Fatal(err)
	}
	if ref := found.(*networkingv1.IPAddress).Spec.ParentRef; ref.Resource != "services" || ref.Namespace != "default" || ref.Name != "s" {
		t.Fatalf("the address belongs to %+v", ref)
	}
	if _, err := w.create("services", service("refused", "10.96.0.7", 0)); !apierrors.IsInvalid(err) {
		t.Fatalf("got %v", err)
	}
	if _, err := w.get("ipaddresses.networking.k8s.io", "", "10.96.0.7"); !apierrors.IsNotFound(err) {
		t.Fatalf("the address of a refused Service: %v", err)
	}
	// A Service gets an address that a crash left to it, and no other Service's address.
	mine := networking.AddressOf(service("mine", "", 80), netip.MustParseAddr("10.96.0.11"))
	other := networking.AddressOf(service("other", "", 80), netip.MustParseAddr("10.96.0.12"))
	w.mustCreate("ipaddresses.networking.k8s.io", mine)
	w.mustCreate("ipaddresses.networking.k8s.io", other)
	w.mustCreate("services", service("mine", "10.96.0.11", 80))
	if _, err := w.create("services", service("t", "10.96.0.12", 80)); err == nil || !strings.Contains(err.Error(), "provided IP is already allocated") {
		t.Fatalf("another Service's address: %v", err)
	}
	if _, _, err := w.delete("services", "default", "s", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.get("ipaddresses.networking.k8s.io", "", "10.96.0.9"); !apierrors.IsNotFound(err) {
		t.Fatalf("the address of a deleted Service: %v", err)
	}
	// A range that is added is used.
	cidr := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.97.0.0/24"}}}
	w.mustCreate("servicecidrs.networking.k8s.io", cidr)
	w.eventually(func() error { _, err := w.create("services", service("u", "10.97.0.5", 80)); return err })
}

// eventually tries again while watch caches catch up.
func (w *world) eventually(f func() error) {
	w.t.Helper()
	var err error
	for range 500 {
		if err = f(); err == nil {
			return
		}
		<-time.After(2 * time.Millisecond)
	}
	w.t.Fatal(err)
}
