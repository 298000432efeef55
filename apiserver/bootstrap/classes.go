package bootstrap

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
