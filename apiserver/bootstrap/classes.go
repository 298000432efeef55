package bootstrap

import (
	"context"
	"fmt"
	"net/netip"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/apis/scheduling"
)

// SystemClasses creates the priority classes of the system that are missing.
func SystemClasses(ctx context.Context, c client.Client) error {
	for _, class := range scheduling.SystemClasses() {
		if err := c.Create(ctx, class); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating the priority class %s: %w", class.Name, err)
		}
	}
	return nil
}

// ServiceRange creates the object of the configured range of ClusterIPs if it
// is missing.
func ServiceRange(cidr string) func(context.Context, client.Client) error {
	return func(ctx context.Context, c client.Client) error {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return fmt.Errorf("reading the range of cluster IPs: %w", err)
		}
		object := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: networking.DefaultCIDR}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{prefix.Masked().String()}}}
		if err := c.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating the service CIDR %s: %w", networking.DefaultCIDR, err)
		}
		return nil
	}
}
