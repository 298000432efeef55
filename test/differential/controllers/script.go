package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// step is one thing that a user does, on one side.
type step struct {
	text string
	do   func(context.Context, *user) error
}

// user plays a script on one side, in a namespace of the script's name.
type user struct {
	*world
	namespace string
}

// object is one of a script's, by resource and name.
type object struct {
	gvr  schema.GroupVersionResource
	name string
}

func resource(text string) schema.GroupVersionResource {
	for _, gvr := range compared() {
		if gvr.Resource == text {
			return gvr
		}
	}
	panic("no resource " + text)
}

func (u *user) of(gvr schema.GroupVersionResource) interface {
	Get(context.Context, string, metav1.GetOptions, ...string) (*unstructured.Unstructured, error)
	Create(context.Context, *unstructured.Unstructured, metav1.CreateOptions, ...string) (*unstructured.Unstructured, error)
	Patch(context.Context, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (*unstructured.Unstructured, error)
	Delete(context.Context, string, metav1.DeleteOptions, ...string) error
} {
	switch gvr.Resource {
	case "clusterroles", "namespaces", "nodes", "certificatesigningrequests":
		return u.client.Resource(gvr)
	}
	return u.client.Resource(gvr).Namespace(u.namespace)
}

// create makes an object; $NS in it is the namespace.
func create(gvr string, doc string) step {
	r := resource(gvr)
	return step{"create " + gvr + " " + strings.Join(strings.Fields(doc), ""), func(ctx context.Context, u *user) error {
		o := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(doc, "$NS", u.namespace)), &o.Object); err != nil {
			return err
		}
		_, err := u.of(r).Create(ctx, o, metav1.CreateOptions{})
		return err
	}}
}

func patch(o object, doc string, sub ...string) step {
	return step{fmt.Sprintf("patch %s %s %v %s", o.gvr.Resource, o.name, sub, doc), func(ctx context.Context, u *user) error {
		name := strings.ReplaceAll(o.name, "$NS", u.namespace)
		_, err := u.of(o.gvr).Patch(ctx, name, types.MergePatchType, []byte(doc), metav1.PatchOptions{}, sub...)
		return err
	}}
}

func remove(o object, how metav1.DeletionPropagation) step {
	return step{fmt.Sprintf("delete %s %s %s", o.gvr.Resource, o.name, how), func(ctx context.Context, u *user) error {
		return u.of(o.gvr).Delete(ctx, strings.ReplaceAll(o.name, "$NS", u.namespace), metav1.DeleteOptions{PropagationPolicy: &how})
	}}
}

// pod does something to the first, by node and name, of the pods of an app.
func pod(app, what string, do func(context.Context, *user, *unstructured.Unstructured) error) step {
	return step{what + " a pod of " + app, func(ctx context.Context, u *user) error {
		var pods []*unstructured.Unstructured
		for _, o := range u.objects(u.namespace) {
			if o.GetKind() == "Pod" && o.GetLabels()["app"] == app && o.GetDeletionTimestamp() == nil {
				pods = append(pods, o)
			}
		}
		if len(pods) == 0 {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, app)
		}
		// Pods that are alike may have other names on the other side.
		order := func(p *unstructured.Unstructured) string {
			node, _, _ := unstructured.NestedString(p.Object, "spec", "nodeName")
			phase, _, _ := unstructured.NestedString(p.Object, "status", "phase")
			containers, _, _ := unstructured.NestedSlice(p.Object, "spec", "containers")
			images := ""
			for _, c := range containers {
				image, _, _ := unstructured.NestedString(c.(map[string]any), "image")
				images += image + " "
			}
			return strings.Join([]string{node, phase, p.GetLabels()[outcome], images, p.GetName()}, "/")
		}
		slices.SortFunc(pods, func(a, b *unstructured.Unstructured) int { return strings.Compare(order(a), order(b)) })
		return do(ctx, u, pods[0])
	}}
}

func changePod(doc string, sub ...string) func(context.Context, *user, *unstructured.Unstructured) error {
	return func(ctx context.Context, u *user, p *unstructured.Unstructured) error {
		_, err := u.of(podsResource).Patch(ctx, p.GetName(), types.StrategicMergePatchType, []byte(doc), metav1.PatchOptions{}, sub...)
		return err
	}
}

func deletePod(ctx context.Context, u *user, p *unstructured.Unstructured) error {
	return u.of(podsResource).Delete(ctx, p.GetName(), metav1.DeleteOptions{})
}

// generator draws a script.
type generator struct {
	*rand.Rand
	made []object
	apps []string
	// budgeted are the apps of which a budget has been made: upstream's does not
	// notice a pod that is labelled away (pkg/controller/disruption, updatePod).
	budgeted map[string]bool
	n        int
}

// newScript returns the steps that follow from a seed.
func newScript(seed uint64) []step {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), budgeted: map[string]bool{}}
	steps := []step{g.workload()}
	for range 4 + g.IntN(8) {
		steps = append(steps, g.next())
	}
	return append(steps, step{"delete the namespace", func(ctx context.Context, u *user) error {
		return u.client.Resource(resource("namespaces")).Delete(ctx, u.namespace, metav1.DeleteOptions{})
	}})
}

func (g *generator) next() step {
	switch k := g.IntN(20); {
	case k < 4:
		return g.workload()
	case k < 7:
		return g.another()
	case k < 13:
		return g.change()
	case k < 16 && len(g.apps) > 0:
		return g.onPod(g.apps[g.IntN(len(g.apps))])
	case k < 18 && len(g.made) > 0:
		i := g.IntN(len(g.made))
		o := g.made[i]
		g.made = slices.Delete(g.made, i, i+1)
		how := metav1.DeletionPropagation(g.pickText(string(metav1.DeletePropagationBackground), string(metav1.DeletePropagationForeground), string(metav1.DeletePropagationOrphan)))
		if how == metav1.DeletePropagationOrphan && o.gvr.Resource == "services" {
			// Whether an orphaned EndpointSlice goes depends on whether its controller
			// sees it before the Service is gone.
			how = metav1.DeletePropagationBackground
		}
		return remove(o, how)
	case k == 18:
		taints := g.pickText(`[{"key":"a","effect":"NoExecute"}]`, `null`, `[{"key":"b","effect":"NoSchedule"}]`)
		if strings.Contains(taints, "NoSchedule") && slices.ContainsFunc(g.made, func(o object) bool { return o.gvr.Resource == "daemonsets" }) {
			// Upstream does not count again when a pod may stay where it would not be
			// put: pkg/controller/daemon, syncNodeUpdate.
			taints = `null`
		}
		return patch(object{resource("nodes"), "$NS" + nodeNames()[0]}, `{"spec":{"taints":`+taints+`}}`)
	}
	return g.change()
}

func (g *generator) pickText(list ...string) string { return list[g.IntN(len(list))] }

func (g *generator) name(prefix string) string {
	g.n++
	return fmt.Sprintf("%s%d", prefix, g.n)
}

func (g *generator) keep(gvr, name string) { g.made = append(g.made, object{resource(gvr), name}) }

func (g *generator) template(app, restart string) string {
	labels := fmt.Sprintf(`"app":%q`, app)
	switch g.IntN(6) {
	case 0:
		labels += `,"outcome":"unready"`
	case 1:
		if restart == "Never" {
			labels += `,"outcome":"fail"`
		}
	default:
		if restart == "Never" {
			labels += `,"outcome":"succeed"`
		}
	}
	return fmt.Sprintf(`{"metadata":{"labels":{%s}},"spec":{"restartPolicy":%q,"terminationGracePeriodSeconds":1,"containers":[{"name":"c","image":"i:%d","resources":{"requests":{"cpu":"10m","memory":"1Mi"},"limits":{"cpu":"20m","memory":"2Mi"}},"ports":[{"name":"web","containerPort":80}]}]}}`, labels, restart, g.IntN(3))
}

// workload makes something that has pods.
func (g *generator) workload() step {
	app := g.name("w")
	g.apps = append(g.apps, app)
	head := func(kind, version string) string {
		return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q},"spec":{`, version, kind, app)
	}
	selector := fmt.Sprintf(`"selector":{"matchLabels":{"app":%q}}`, app)
	replicas := g.IntN(4)
	switch g.IntN(9) {
	case 0, 1, 2:
		g.keep("deployments", app)
		strategy := g.pickText(`{"type":"Recreate"}`, `{"type":"RollingUpdate"}`, `{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1,"maxUnavailable":0}}`)
		return create("deployments", head("Deployment", "apps/v1")+fmt.Sprintf(`"replicas":%d,"revisionHistoryLimit":%d,"strategy":%s,%s,"template":%s}}`, replicas, g.IntN(3), strategy, selector, g.template(app, "Always")))
	case 3:
		g.keep("replicasets", app)
		return create("replicasets", head("ReplicaSet", "apps/v1")+fmt.Sprintf(`"replicas":%d,%s,"template":%s}}`, replicas, selector, g.template(app, "Always")))
	case 4, 5:
		g.keep("statefulsets", app)
		return create("statefulsets", head("StatefulSet", "apps/v1")+fmt.Sprintf(`"replicas":%d,"serviceName":"s","podManagementPolicy":%q,%s,"template":%s}}`, replicas, g.pickText("Parallel", "OrderedReady"), selector, g.template(app, "Always")))
	case 6:
		g.keep("daemonsets", app)
		return create("daemonsets", head("DaemonSet", "apps/v1")+fmt.Sprintf(`%s,"template":%s}}`, selector,
			strings.Replace(g.template(app, "Always"), `"containers"`, `"nodeSelector":{"differential":"$NS"},"containers"`, 1)))
	case 7:
		g.keep("replicationcontrollers", app)
		return create("replicationcontrollers", head("ReplicationController", "v1")+fmt.Sprintf(`"replicas":%d,"selector":{"app":%q},"template":%s}}`, replicas, app, g.template(app, "Always")))
	}
	g.keep("jobs", app)
	more := g.pickText("", `"completionMode":"Indexed",`, `"suspend":true,`, `"ttlSecondsAfterFinished":0,`)
	return create("jobs", head("Job", "batch/v1")+fmt.Sprintf(`%s"backoffLimit":0,"completions":%d,"parallelism":%d,"template":%s}}`, more, 1+g.IntN(3), 1+g.IntN(3), g.template(app, "Never")))
}

// another makes something around the pods.
func (g *generator) another() step {
	name, app := g.name("o"), g.apps[g.IntN(len(g.apps))]
	meta := fmt.Sprintf(`"metadata":{"name":%q}`, name)
	switch g.IntN(10) {
	case 0, 1, 2:
		g.keep("services", name)
		more := g.pickText("", `"clusterIP":"None",`, `"publishNotReadyAddresses":true,`)
		return create("services", fmt.Sprintf(`{"apiVersion":"v1","kind":"Service",%s,"spec":{%s"selector":{"app":%q},"ports":[{"name":"a","port":80,"targetPort":%s}]}}`, meta, more, app, g.pickText("80", `"web"`, `"none"`)))
	case 3, 4:
		g.keep("poddisruptionbudgets", name)
		g.budgeted[app] = true
		return create("poddisruptionbudgets", fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"PodDisruptionBudget",%s,"spec":{"%s":%s,"selector":{"matchLabels":{"app":%q}}}}`, meta, g.pickText("minAvailable", "maxUnavailable"), g.pickText("1", `"50%"`, "0"), app))
	case 5:
		g.keep("resourcequotas", name)
		return create("resourcequotas", fmt.Sprintf(`{"apiVersion":"v1","kind":"ResourceQuota",%s,"spec":{"hard":{"pods":"%d","requests.cpu":"1","count/configmaps":"9","services":"5"}}}`, meta, 3+g.IntN(8)))
	case 6:
		g.keep("serviceaccounts", name)
		return create("serviceaccounts", fmt.Sprintf(`{"apiVersion":"v1","kind":"ServiceAccount",%s}`, meta))
	case 7:
		g.keep("cronjobs", name)
		return create("cronjobs", fmt.Sprintf(`{"apiVersion":"batch/v1","kind":"CronJob",%s,"spec":{"suspend":true,"schedule":"* * * * *","jobTemplate":{"spec":{"template":%s}}}}`, meta, g.template(name, "Never")))
	case 8:
		g.keep("configmaps", name)
		return create("configmaps", fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"none","uid":"11111111-1111-1111-1111-111111111111"}]}}`, name))
	}
	g.keep("persistentvolumeclaims", name)
	return create("persistentvolumeclaims", fmt.Sprintf(`{"apiVersion":"v1","kind":"PersistentVolumeClaim",%s,"spec":{"storageClassName":"","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`, meta))
}

// change edits something that was made.
func (g *generator) change() step {
	if len(g.made) == 0 {
		return g.workload()
	}
	o := g.made[g.IntN(len(g.made))]
	replicas := fmt.Sprintf(`{"spec":{"replicas":%d}}`, g.IntN(5))
	image := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"v":"%d"}}}}}`, g.IntN(3))
	choices := []string{`{"metadata":{"labels":{"x":"y"}}}`}
	switch o.gvr.Resource {
	case "deployments":
		choices = []string{replicas, image, image, `{"spec":{"paused":true}}`, `{"spec":{"paused":false}}`, `{"spec":{"template":{"metadata":{"labels":{"outcome":"unready"}}}}}`, `{"spec":{"template":{"metadata":{"labels":{"outcome":null}}}}}`}
	case "replicasets", "replicationcontrollers":
		// Not the template: which of pods that are alike but for it go is by their uids.
		choices = []string{replicas}
	case "statefulsets":
		choices = []string{replicas, image, `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}}}}`, `{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}`}
	case "daemonsets":
		choices = []string{image, `{"spec":{"template":{"spec":{"nodeSelector":{"none":"such"}}}}}`, `{"spec":{"template":{"spec":{"nodeSelector":{"none":null}}}}}`}
	case "jobs":
		choices = []string{`{"spec":{"suspend":true}}`, `{"spec":{"suspend":false}}`, `{"spec":{"parallelism":0}}`, `{"spec":{"parallelism":2}}`}
	case "services":
		choices = []string{fmt.Sprintf(`{"spec":{"selector":{"app":%q}}}`, g.apps[g.IntN(len(g.apps))]), `{"spec":{"selector":{"outcome":"unready"}}}`, `{"metadata":{"labels":{"x":"y"}}}`, `{"spec":{"publishNotReadyAddresses":true}}`}
	case "poddisruptionbudgets":
		choices = []string{`{"spec":{"minAvailable":2,"maxUnavailable":null}}`, `{"spec":{"minAvailable":null,"maxUnavailable":"34%"}}`}
	case "resourcequotas":
		choices = []string{`{"spec":{"hard":{"pods":"1"}}}`, `{"spec":{"hard":{"pods":"20","secrets":"3"}}}`}
	}
	return patch(o, choices[g.IntN(len(choices))])
}

func (g *generator) onPod(app string) step {
	const notReady = `{"status":{"conditions":[{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"}]}}`
	switch k := g.IntN(5); {
	case k == 0 && !g.budgeted[app]:
		return pod(app, "label away", changePod(`{"metadata":{"labels":{"app":"away"}}}`))
	case k == 1:
		return pod(app, "fail", changePod(`{"status":{"phase":"Failed","reason":"Evicted"}}`, "status"))
	case k == 2:
		return pod(app, "make unready", changePod(notReady, "status"))
	}
	return pod(app, "delete", deletePod)
}
