package dynamic

import (
	"context"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/klog/v2"

	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
)

// checkRetry is how long after a failure a status is written again.
const checkRetry = time.Second

// checker writes into the status of validating policies the type errors of their
// expressions. Upstream has a controller for it (validatingadmissionpolicy-status);
// here it rests with the plugin while there is no policy.
type checker struct {
	config   Config
	policies *mirror.Mirror[*validating.Policy]
	written  map[types.UID]int64 // generations
}

func (c *checker) run(ctx context.Context) {
	check := &validating.TypeChecker{SchemaResolver: c.config.Schemas, RestMapper: c.config.Mapper}
	for {
		changed := c.policies.Changed()
		var again <-chan time.Time
		if !c.all(ctx, check) {
			again = c.config.Clock.After(checkRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-again:
		}
	}
}

// all checks what has changed, and reports whether everything was written.
func (c *checker) all(ctx context.Context, check *validating.TypeChecker) bool {
	ok := true
	written := map[types.UID]int64{}
	for _, p := range c.policies.List() {
		if p.Generation <= p.Status.ObservedGeneration {
			continue
		}
		if c.written[p.UID] < p.Generation {
			// A copy: the mirror's objects are shared.
			status := admissionv1.ValidatingAdmissionPolicyStatus{
				ObservedGeneration: p.Generation,
				TypeChecking:       &admissionv1.TypeChecking{ExpressionWarnings: check.Check(p.DeepCopy())},
			}
			if err := c.config.WriteStatus(ctx, p.Name, status); err != nil && !apierrors.IsNotFound(err) {
				if ctx.Err() == nil {
					klog.FromContext(ctx).Error(err, "writing what was found in a policy", "policy", p.Name)
				}
				ok = false
				continue
			}
		}
		written[p.UID] = p.Generation
	}
	c.written = written
	return ok
}
