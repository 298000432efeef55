// Package volumes holds what scheduling must know of storage: claims, volumes,
// classes, drivers and attachments, as the API's events tell, and over them what
// the scheduler assumed but has not seen written yet.
//
// It follows the informers, so that a cycle reads maps and copies nothing. All
// objects are shared: nobody changes them.
package volumes
