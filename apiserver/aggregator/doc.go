// Package aggregator serves the groups that APIServices announce: it passes
// requests for the groups of other API servers on to them.
//
//	plan.go       which APIServices the server itself has, and the conditions: pure
//	aggregator.go which APIServices there are; events in, checks and status out
//	check.go      asks a server whether it answers, and for what
//	proxy.go      passes requests on, with the user's name in headers
//	openapi.go    other servers' documents
//
// APIServices of the groups that are served here (Local in kubectl's words) are
// written at the first request for APIServices, which waits for it: a cluster
// without such requests has none and pays nothing. Services and their endpoints
// are followed only while some APIService refers to one.
//
// Invariants:
//
//  1. A request is passed on only while its APIService is available.
//  2. A server gets the user's name from this server and never from the client.
//  3. All goroutines and connections end with Run's context and the Network.
//
// The API of this package is not stable: see docs/api.md.
package aggregator
