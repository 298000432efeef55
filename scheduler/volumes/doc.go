// Package volumes holds the storage objects that scheduling needs: claims,
// volumes, classes, drivers and attachments, by the API server's events, and
// over them what the scheduler assumed but has not seen written yet.
//
// It follows the informers, so that a cycle reads maps and copies nothing. All
// objects are shared and must not be changed.
//
// The API of this package is not stable: see docs/api.md.
package volumes
