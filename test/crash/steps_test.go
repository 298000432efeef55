package crash

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// step is one thing a user asks for, after a pause.
type step struct {
	after time.Duration
	do    func(context.Context) error
}

// threads returns the steps of users that run side by side while the process is killed.
func threads(p *plan, u *user) (map[string][]step, error) {
	jobs, err := p.objects("jobs")
	if err != nil {
		return nil, err
	}
	patch := func(mean time.Duration, o *unstructured.Unstructured, text string, args ...any) step {
		text = fmt.Sprintf(text, args...)
		return step{p.pause(mean), func(ctx context.Context) error { return u.patch(ctx, o, text) }}
	}
	remove := func(mean time.Duration, o *unstructured.Unstructured, how metav1.DeletionPropagation) step {
		return step{p.pause(mean), func(ctx context.Context) error { return u.delete(ctx, o, how) }}
	}
	create := func(mean time.Duration, o *unstructured.Unstructured) step {
		return step{p.pause(mean), func(ctx context.Context) error { return u.create(ctx, o) }}
	}
	release := func(mean time.Duration, o *unstructured.Unstructured) step {
		return step{p.pause(mean), func(ctx context.Context) error { return u.release(ctx, o) }}
	}
	image := func(mean time.Duration, kind, name string, version int) step {
		return patch(mean, named(kind, "work", name), `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"example.test/%s:%d","resources":{"requests":{"cpu":"50m"}},"ports":[{"containerPort":8080}]}]}}}}`, name, version)
	}
	scale := func(mean time.Duration, kind, name string, n int) step {
		return patch(mean, named(kind, "work", name), `{"spec":{"replicas":%d}}`, n)
	}
	const soon, later = 50 * time.Millisecond, 500 * time.Millisecond
	t := map[string][]step{
		"rollout": {image(soon, "Deployment", "web", 2), image(later, "Deployment", "web", 3), scale(later, "Deployment", "web", p.WebLast),
			image(later, "Deployment", "web", 4)},
		"db":    {scale(soon, "StatefulSet", "db", p.DbMid), image(later, "StatefulSet", "db", 2), scale(later, "StatefulSet", "db", p.DbEnd)},
		"keep":  {scale(soon, "StatefulSet", "keep", p.KeepMid), scale(later, "StatefulSet", "keep", p.KeepEnd), image(soon, "StatefulSet", "keep", 2)},
		"agent": {image(soon, "DaemonSet", "agent", 2), image(later, "DaemonSet", "agent", 3)},
		// Pods go before anything else does.
		"namespace": {remove(later, named("Namespace", "", "doomed"), metav1.DeletePropagationBackground),
			release(later, named("Pod", "doomed", "held")), release(soon, named("ConfigMap", "doomed", "held"))},
		"foreground": {remove(soon, named("Deployment", "work", "fore"), metav1.DeletePropagationForeground)},
		"orphan":     {remove(later, named("Deployment", "work", "orphaned"), metav1.DeletePropagationOrphan)},
		"cancelled":  {remove(later, named("Job", "work", "cancelled"), metav1.DeletePropagationBackground)},
		"wrecks":     {remove(later, named("CustomResourceDefinition", "", "wrecks.crash.test"), metav1.DeletePropagationBackground)},
	}
	for _, job := range jobs {
		t["job "+job.GetName()] = []step{create(later, job)}
	}
	t["job suspended"] = append(t["job suspended"], patch(later, named("Job", "work", "suspended"), `{"spec":{"suspend":false}}`))
	for i, n := range p.Ships {
		how := []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan}[i%3]
		t["ships"] = append(t["ships"], remove(soon, named("Ship", "work", fmt.Sprintf("ship-%d", n)), how))
		old, other := named("Service", "work", fmt.Sprintf("churn-%d", n)), named("Service", "work", fmt.Sprintf("new-%d", n))
		other.Object["spec"] = map[string]any{"selector": map[string]any{"app": "web"}, "ports": []any{map[string]any{"port": int64(80)}}}
		t["services"] = append(t["services"], remove(soon, old, metav1.DeletePropagationBackground), create(soon, other),
			patch(soon, named("Service", "work", other.GetName()), `{"spec":{"type":%q}}`, []string{"NodePort", "ClusterIP"}[i%2]))
	}
	return t, nil
}

// setUp creates what is there before the first kill.
func setUp(ctx context.Context, p *plan, u *user) error {
	objects, err := p.objects("before")
	if err != nil {
		return err
	}
	for _, o := range objects {
		create := u.create
		if k := o.GetKind(); k == "Ship" || k == "Wreck" {
			create = u.createCustom
		}
		if err := create(ctx, o); err != nil {
			return err
		}
	}
	for _, n := range p.Ships {
		if err := u.load(ctx, fmt.Sprintf("ship-%d", n)); err != nil {
			return err
		}
	}
	return nil
}

// createCustom creates an object whose kind may not be served yet.
func (u *user) createCustom(ctx context.Context, o *unstructured.Unstructured) error {
	return u.known(ctx, o, func() error { return u.create(ctx, o) })
}

// known asks until a kind is served, by each server in its time.
func (u *user) known(ctx context.Context, o *unstructured.Unstructured, ask func() error) error {
	for {
		err := ask()
		if !apierrors.IsNotFound(err) {
			return err
		}
		if !pause(ctx, 10*time.Millisecond) {
			return fmt.Errorf("waiting for the kind of %s: %w", nameOf(o), ctx.Err())
		}
	}
}

// load gives a ship two ConfigMaps, one of them with another owner that stays.
func (u *user) load(ctx context.Context, ship string) error {
	owner, other := named("Ship", "work", ship), named("Deployment", "work", "web")
	for _, o := range []*unstructured.Unstructured{owner, other} {
		err := u.known(ctx, o, func() error {
			return u.ask(ctx, "reading "+nameOf(o), func(ctx context.Context, c client.Client, _ bool) error {
				return c.Get(ctx, client.ObjectKeyFromObject(o), o)
			})
		})
		if err != nil {
			return err
		}
	}
	yes := true
	of := func(o *unstructured.Unstructured) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Name: o.GetName(), UID: o.GetUID(), BlockOwnerDeletion: &yes}
	}
	own, shared := named("ConfigMap", "work", ship+"-own"), named("ConfigMap", "work", ship+"-shared")
	own.SetOwnerReferences([]metav1.OwnerReference{of(owner)})
	shared.SetOwnerReferences([]metav1.OwnerReference{of(owner), of(other)})
	if err := u.create(ctx, own); err != nil {
		return err
	}
	return u.create(ctx, shared)
}
