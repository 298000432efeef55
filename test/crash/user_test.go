package crash

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis"
)

// user asks things of a cluster that dies under its hands, and asks again until
// there is an answer, as a patient client does.
type user struct {
	machines []*machine
	scheme   *runtime.Scheme
	mapper   meta.RESTMapper
	asked    atomic.Int64
}

// kinds are those of the manifests: kind to group, version and whether it is in
// a namespace.
var kinds = map[string]struct {
	schema.GroupVersion
	scope meta.RESTScope
}{
	"Namespace":                {schema.GroupVersion{Version: "v1"}, meta.RESTScopeRoot},
	"Node":                     {schema.GroupVersion{Version: "v1"}, meta.RESTScopeRoot},
	"PersistentVolume":         {schema.GroupVersion{Version: "v1"}, meta.RESTScopeRoot},
	"ConfigMap":                {schema.GroupVersion{Version: "v1"}, meta.RESTScopeNamespace},
	"Pod":                      {schema.GroupVersion{Version: "v1"}, meta.RESTScopeNamespace},
	"Secret":                   {schema.GroupVersion{Version: "v1"}, meta.RESTScopeNamespace},
	"ServiceAccount":           {schema.GroupVersion{Version: "v1"}, meta.RESTScopeNamespace},
	"Service":                  {schema.GroupVersion{Version: "v1"}, meta.RESTScopeNamespace},
	"Endpoints":                {schema.GroupVersion{Version: "v1"}, meta.RESTScopeNamespace},
	"ResourceQuota":            {schema.GroupVersion{Version: "v1"}, meta.RESTScopeNamespace},
	"PersistentVolumeClaim":    {schema.GroupVersion{Version: "v1"}, meta.RESTScopeNamespace},
	"Deployment":               {schema.GroupVersion{Group: "apps", Version: "v1"}, meta.RESTScopeNamespace},
	"ReplicaSet":               {schema.GroupVersion{Group: "apps", Version: "v1"}, meta.RESTScopeNamespace},
	"DaemonSet":                {schema.GroupVersion{Group: "apps", Version: "v1"}, meta.RESTScopeNamespace},
	"StatefulSet":              {schema.GroupVersion{Group: "apps", Version: "v1"}, meta.RESTScopeNamespace},
	"ControllerRevision":       {schema.GroupVersion{Group: "apps", Version: "v1"}, meta.RESTScopeNamespace},
	"Job":                      {schema.GroupVersion{Group: "batch", Version: "v1"}, meta.RESTScopeNamespace},
	"CronJob":                  {schema.GroupVersion{Group: "batch", Version: "v1"}, meta.RESTScopeNamespace},
	"Role":                     {schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}, meta.RESTScopeNamespace},
	"PodDisruptionBudget":      {schema.GroupVersion{Group: "policy", Version: "v1"}, meta.RESTScopeNamespace},
	"EndpointSlice":            {schema.GroupVersion{Group: "discovery.k8s.io", Version: "v1"}, meta.RESTScopeNamespace},
	"IPAddress":                {schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}, meta.RESTScopeRoot},
	"CustomResourceDefinition": {schema.GroupVersion{Group: "apiextensions.k8s.io", Version: "v1"}, meta.RESTScopeRoot},
	"Ship":                     {schema.GroupVersion{Group: "crash.test", Version: "v1"}, meta.RESTScopeNamespace},
	"Wreck":                    {schema.GroupVersion{Group: "crash.test", Version: "v1"}, meta.RESTScopeNamespace},
}

func newUser(machines ...*machine) *user {
	mapper := meta.NewDefaultRESTMapper(nil)
	for kind, k := range kinds {
		mapper.Add(k.WithKind(kind), k.scope)
	}
	return &user{machines: machines, scheme: apis.NewClientScheme(), mapper: mapper}
}

// named returns an object to patch, delete or read.
func named(kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kinds[kind].WithKind(kind))
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// up waits for a server that is ready; of several it takes one after the other.
func (u *user) up(ctx context.Context) (*life, error) {
	for {
		next := int(u.asked.Add(1))
		for i := range u.machines {
			if l := u.machines[(next+i)%len(u.machines)].up(); l != nil {
				return l, nil
			}
		}
		if !pause(ctx, 5*time.Millisecond) {
			return nil, fmt.Errorf("waiting for coracle to be ready: %w", ctx.Err())
		}
	}
}

// client talks to one life.
func (u *user) client(l *life) (client.Client, error) {
	return client.New(l.config, client.Options{HTTPClient: l.http, Scheme: u.scheme, Mapper: u.mapper})
}

// requestTimeout bounds one question; nothing here should take that long.
const requestTimeout = 15 * time.Second

// ask repeats a question until there is an answer. again is set if it was asked
// before with an unknown outcome.
func (u *user) ask(ctx context.Context, what string, question func(ctx context.Context, c client.Client, again bool) error) error {
	for again := false; ; again = true {
		l, err := u.up(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		c, err := u.client(l)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		once, cancel := context.WithTimeout(ctx, requestTimeout)
		err = question(once, c, again)
		cancel()
		if err == nil {
			return nil
		}
		if !cutOff(err) || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if !pause(ctx, 10*time.Millisecond) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// cutOff reports whether an error means that there was no answer, or one that
// asks for patience: the connection broke, the server stops or has just begun,
// or others wrote what was to be changed (or its quota) all the while.
func cutOff(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return !errors.Is(err, context.DeadlineExceeded)
	}
	return apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsConflict(err)
}

func nameOf(o client.Object) string {
	return fmt.Sprintf("%s %s/%s", o.GetObjectKind().GroupVersionKind().Kind, o.GetNamespace(), o.GetName())
}

func (u *user) create(ctx context.Context, o *unstructured.Unstructured) error {
	return u.ask(ctx, "creating "+nameOf(o), func(ctx context.Context, c client.Client, again bool) error {
		err := c.Create(ctx, o.DeepCopy())
		if again && apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
}

func (u *user) patch(ctx context.Context, o *unstructured.Unstructured, patch string) error {
	return u.ask(ctx, "patching "+nameOf(o), func(ctx context.Context, c client.Client, _ bool) error {
		return c.Patch(ctx, o.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)))
	})
}

func (u *user) delete(ctx context.Context, o *unstructured.Unstructured, how metav1.DeletionPropagation) error {
	return u.ask(ctx, "deleting "+nameOf(o), func(ctx context.Context, c client.Client, again bool) error {
		err := c.Delete(ctx, o.DeepCopy(), client.PropagationPolicy(how))
		if again && apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// release runs the controller of the finalizer crash.test/hold: it lets an
// object go when that is being deleted.
func (u *user) release(ctx context.Context, o *unstructured.Unstructured) error {
	for {
		found := o.DeepCopy()
		err := u.ask(ctx, "reading "+nameOf(o), func(ctx context.Context, c client.Client, _ bool) error {
			return c.Get(ctx, client.ObjectKeyFromObject(o), found)
		})
		if err != nil {
			return err
		}
		if found.GetDeletionTimestamp() != nil {
			break
		}
		if !pause(ctx, 30*time.Millisecond) {
			return fmt.Errorf("waiting for the deletion of %s: %w", nameOf(o), ctx.Err())
		}
	}
	return u.ask(ctx, "releasing "+nameOf(o), func(ctx context.Context, c client.Client, again bool) error {
		err := c.Patch(ctx, o.DeepCopy(), client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/finalizers"}]`)))
		if again && (apierrors.IsNotFound(err) || apierrors.IsInvalid(err)) {
			return nil
		}
		return err
	})
}
