// Package controllers has the dependencies that all controllers share. Each controller is a
// package below it:
//
//   - New takes Deps, and a Config of the controller's own where it has settings;
//   - Name is its name, as upstream's, and QueueName that of its queue in metrics, if upstream has one;
//   - SetupWithManager, in watch.go, sets what triggers a reconcile;
//   - Reconcile reads, has a pure function of plan.go decide, and writes.
//
// The API of this package is not stable: see docs/api.md.
package controllers

import (
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Deps are the dependencies of a controller. A cluster sets all of them, a test those that
// its controller uses.
type Deps struct {
	// Client reads from a cache with the indexes of package index, and writes to the server.
	Client client.Client
	// Live reads from the server, for what must not be decided by an old object.
	Live  client.Reader
	Clock clock.WithTicker
	// Recorder returns a recorder of Events of the core group with a source.
	Recorder func(source string) record.EventRecorder
	// Events returns a recorder of Events of events.k8s.io with a reporting controller.
	Events func(reporter string) events.EventRecorder
}
