package pod

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	corepod "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// checkGracefulDelete gives the pod its grace period, except that nothing need
// wait for a pod that never ran or has ended. Always graceful, because the
// period can be 0.
//
// The store tries again with the same options when the pod changed meanwhile, or
// was read from a cache that is behind: what an earlier try put there for a pod
// without a node must not end one that has been bound.
func checkGracefulDelete(ctx context.Context, p *corev1.Pod, o *metav1.DeleteOptions) bool {
	if o == nil {
		return false
	}
	wanted := o.GracePeriodSeconds
	if first, ok := ctx.Value(askedKey{}).(asked); ok {
		wanted = first.period
	}
	period := ptr.Deref(wanted, ptr.Deref(p.Spec.TerminationGracePeriodSeconds, 0))
	if p.Spec.NodeName == "" || corepod.IsTerminal(p) {
		period = 0
	}
	if period < 0 {
		period = 1
	}
	o.GracePeriodSeconds = &period
	return true
}

// asked is the grace period of a request, nil if it names none.
type asked struct{ period *int64 }

type askedKey struct{}

// remember keeps what a request asks for beside the options that deleting fills in.
func remember(ctx context.Context, o *metav1.DeleteOptions) context.Context {
	if o == nil {
		return ctx
	}
	return context.WithValue(ctx, askedKey{}, asked{o.GracePeriodSeconds})
}

// patient deletes pods.
type patient struct{ registry.Wrapped }

// Delete implements rest.GracefulDeleter.
func (s patient) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	return s.Store.Delete(remember(ctx, options), name, validate, options)
}

// DeleteCollection implements rest.CollectionDeleter.
func (s patient) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions, list *metainternalversion.ListOptions) (runtime.Object, error) {
	return s.Store.DeleteCollection(remember(ctx, options), validate, options, list)
}
