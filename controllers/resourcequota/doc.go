// Package resourcequota counts what the objects of a namespace use of its
// ResourceQuotas.
//
// It promises:
//
//  1. status.used is the sum that package apis/quota measures over the objects in the
//     cache, for exactly the resources that spec.hard limits and that exist.
//  2. A change that gives something back (a deletion, a pod that finished, a
//     Service that is no NodePort any more) is in the status within about
//     200 ms. What takes something away was charged by admission before it was
//     stored: counting it from a cache that does not show it yet would undo the
//     charge. So less is written only when a second look, 100 ms after the first,
//     finds that nothing was charged in between.
//  3. An event costs a look at the namespace's quotas; objects are counted only
//     for a quota that limits their kind, and at most ten times a second.
//  4. Kinds are watched from when the first quota limits them.
//  5. A charge for a request that failed after admission, or for an object that
//     was gone before the cache heard of it, is repaired half a second later;
//     and every quota is recounted every 5 minutes, whatever happened.
//
// The API of this package is not stable: see docs/api.md.
package resourcequota
