package controllers

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/controllers/namespace"
)

// legacyTokens signs for the token controller.
type legacyTokens struct{ server *apiserver.Server }

// Generate implements tokens.TokenGenerator.
func (l legacyTokens) Generate(sa *corev1.ServiceAccount, secret *corev1.Secret) (string, error) {
	return l.server.LegacyToken(sa, secret)
}

// deletable are the namespaced resources that a namespace's end deletes.
type deletable struct{ server *apiserver.Server }

// Resources implements namespace.Discoverer.
func (d deletable) Resources(context.Context) ([]namespace.Resource, error) {
	var list []namespace.Resource
	for _, r := range d.server.Served() {
		if r.Namespaced && !r.Alternative && !r.Unused && slices.Contains(r.Verbs, "delete") && slices.Contains(r.Verbs, "list") {
			list = append(list, namespace.Resource{GroupVersionResource: r.GVK.GroupVersion().WithResource(r.Plural), Collection: slices.Contains(r.Verbs, "deletecollection")})
		}
	}
	failed := map[schema.GroupVersion]error{}
	for _, gv := range d.server.Unreachable() {
		failed[gv] = fmt.Errorf("stale GroupVersion discovery: %v", gv)
	}
	if len(failed) > 0 {
		return list, &discovery.ErrGroupDiscoveryFailed{Groups: failed}
	}
	return list, nil
}

// collectable are the kinds that may own or be owned.
type collectable struct{ server *apiserver.Server }

// Kinds implements garbagecollector.Resources.
func (c collectable) Kinds() []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	for _, r := range c.server.Served() {
		event := r.GVK.Group == "" && r.GVK.Kind == "Event"
		if !event && !r.Alternative && !r.Unused && slices.Contains(r.Verbs, "delete") && slices.Contains(r.Verbs, "watch") {
			kinds = append(kinds, r.GVK)
		}
	}
	return kinds
}

// Changed implements garbagecollector.Resources.
func (c collectable) Changed() <-chan struct{} { return c.server.ServedChanged() }
