// Package dispatch routes resource requests to the stock REST handlers.
//
// It looks a request's RequestInfo up in a map from resource to storage and
// builds storage, watch cache and request scope when a resource is asked for
// first. So start-up pays for nothing but the map and discovery, where
// go-restful routes cost tens of milliseconds and megabytes.
//
// The API of this package is not stable: see docs/api.md.
package dispatch
