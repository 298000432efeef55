// Package hub makes the wire types of an API group its internal types too.
//
// The generic API server wants an internal version of every group. Coracle
// has no second set of types: the Go types of k8s.io/api are registered under
// their own version and again under `__internal`, so that converting to and
// from the hub costs nothing.
//
// The API of this package is not stable: see docs/api.md.
package hub

import (
	"fmt"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Add registers every kind of gv in s also as `__internal` of gv's group. Types
// of apimachinery (WatchEvent, the *Options kinds) are left out: they are
// shared by all groups and would clash. A kind that the hub has already is left
// alone, so that a group may choose its hub version by adding that one first.
func Add(s *runtime.Scheme, gv schema.GroupVersion) error {
	internal := schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal}
	known := s.KnownTypes(internal)
	for kind, t := range s.KnownTypes(gv) {
		if strings.HasPrefix(t.PkgPath(), "k8s.io/apimachinery/") {
			continue
		}
		if _, ok := known[kind]; ok {
			continue
		}
		obj, ok := reflect.New(t).Interface().(runtime.Object)
		if !ok {
			return fmt.Errorf("registering the hub of %s: %s is no runtime.Object", gv, t)
		}
		s.AddKnownTypeWithName(internal.WithKind(kind), obj)
	}
	return nil
}
