package main

import (
	"context"
	"fmt"
	"time"

	"github.com/coracle-k8s/coracle/test/bench/process"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// definitions is how many are installed, about what a cluster of platform
	// operators has.
	definitions = 500
	// memoryAfter is how long a cluster is left alone before its memory is read.
	memoryAfter = 10 * time.Second
)

// benchDefinitions installs many CustomResourceDefinitions with schemas of about
// 30 kB, as operators that embed parts of a pod have.
func benchDefinitions(ctx context.Context, b *bench) error {
	t, err := b.launch(ctx, "--nodes", "0", "--simulated-nodes", "1")
	if err != nil {
		return err
	}
	defer t.stop()
	if err := t.settled(ctx, 1); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return err
	}
	crds, err := client.NewWithWatch(t.rest, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	objects, err := dynamic.NewForConfig(t.rest)
	if err != nil {
		return err
	}
	if err := process.Wait(ctx, memoryAfter); err != nil {
		return err
	}
	bare, _, err := process.Memory(t.command.Process.Pid)
	if err != nil {
		return err
	}
	var established, usable []float64
	for i := range definitions {
		crd := definition(i)
		e, u, err := install(ctx, crds, objects, crd, i < 10)
		if err != nil {
			return err
		}
		established = append(established, e)
		if i < 10 {
			usable = append(usable, u)
		}
	}
	b.report("crds.500 established", "s", 0.1, established...)
	b.report("crds.500 usable", "s", 0.1, usable...)
	if err := process.Wait(ctx, memoryAfter); err != nil {
		return err
	}
	with, _, err := process.Memory(t.command.Process.Pid)
	if err != nil {
		return err
	}
	b.report("crds.500 RSS per CRD", "MB", 3, (with-bare)/definitions)
	for i := range definitions {
		if _, err := objects.Resource(gvr(definition(i))).List(ctx, metav1.ListOptions{}); err != nil {
			return err
		}
	}
	if err := process.Wait(ctx, memoryAfter); err != nil {
		return err
	}
	if with, _, err = process.Memory(t.command.Process.Pid); err != nil {
		return err
	}
	b.report("crds.500 RSS per CRD, each listed", "MB", 3, (with-bare)/definitions)
	return nil
}

// install returns the seconds until the definition was established, and until an
// object of it was stored if that is wanted.
func install(ctx context.Context, crds client.WithWatch, objects dynamic.Interface, crd *apiextensionsv1.CustomResourceDefinition, use bool) (established, usable float64, err error) {
	began := time.Now()
	if err := crds.Create(ctx, crd); err != nil {
		return 0, 0, fmt.Errorf("creating definition %s: %w", crd.Name, err)
	}
	if use {
		object := objectOf(crd)
		if _, err := objects.Resource(gvr(crd)).Namespace("default").Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return 0, 0, fmt.Errorf("creating an object of %s: %w", crd.Name, err)
		}
		usable = time.Since(began).Seconds()
	}
	w, err := crds.Watch(ctx, &apiextensionsv1.CustomResourceDefinitionList{}, client.MatchingFields{"metadata.name": crd.Name})
	if err != nil {
		return 0, 0, fmt.Errorf("watching definition %s: %w", crd.Name, err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		got, ok := e.Object.(*apiextensionsv1.CustomResourceDefinition)
		if !ok {
			continue
		}
		for _, c := range got.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return time.Since(began).Seconds(), usable, nil
			}
		}
	}
	return 0, 0, fmt.Errorf("watching definition %s: the watch ended", crd.Name)
}

func objectOf(crd *apiextensionsv1.CustomResourceDefinition) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion(crd.Spec.Group + "/v1")
	u.SetKind(crd.Spec.Names.Kind)
	u.SetName("one")
	return u
}

func gvr(crd *apiextensionsv1.CustomResourceDefinition) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: crd.Spec.Group, Version: "v1", Resource: crd.Spec.Names.Plural}
}

// definition returns the i-th of many definitions, 20 to a group.
func definition(i int) *apiextensionsv1.CustomResourceDefinition {
	group, plural := fmt.Sprintf("group%d.example.com", i/20), fmt.Sprintf("things%d", i)
	kind := fmt.Sprintf("Thing%d", i)
	text := apiextensionsv1.JSONSchemaProps{Type: "string", Description: "A field that says something about the thing, and is described in a sentence, as fields are."}
	leaf := apiextensionsv1.JSONSchemaProps{Type: "object", Description: "Some of its settings.", Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
	for f := range 12 {
		leaf.Properties[fmt.Sprintf("field%d", f)] = text
	}
	spec := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
	for f := range 16 {
		spec.Properties[fmt.Sprintf("part%d", f)] = leaf
	}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Kind: kind, ListKind: kind + "List"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": spec},
				}},
			}},
		},
	}
}
