// Package customresources serves what CustomResourceDefinitions define.
//
// The machinery of k8s.io/apiextensions-apiserver does the work of a request: schemas,
// pruning, defaulting, validation, CEL, conversion, strategies and tables. The frame
// around it is Coracle's, since the library's handler and controllers cannot be stopped,
// hold up the first create by two seconds, and pay for every definition at once:
//
//	plan.go        the status a definition gets: pure
//	definitions.go which definitions there are; events in, status out
//	serving.go     storage and scopes of a version, made at its first request
//	codec.go       decoding, pruning, defaulting and converting of objects
//	handler.go     requests and the verbs
//	discovery.go   legacy and aggregated discovery
//	finalize.go    the end of a definition and of its objects
//	openapi.go     the documents that describe them, rendered when asked for
//
// Nothing runs before Demand: a cluster without definitions pays nothing.
//
// Invariants:
//
//  1. A definition whose status is Established is served: it is installed
//     here before the status is written.
//  2. A change of a definition ends the watches of its objects, as upstream; a
//     request that has begun is served to its end by what it began with.
//  3. All goroutines end with Run's context.
//
// The API of this package is not stable: see docs/api.md.
package customresources
