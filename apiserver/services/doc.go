// Package services is how the API server itself calls Services: webhooks of
// admission and of conversion, and aggregated API servers.
//
// There is one Network per server (Server.Services). It is a
// webhook.ServiceResolver and the aggregator's, and makes their connections, to
// what package egress allows:
//
//	manager.SetAuthenticationInfoResolverWrapper(network.Wrap) // dials by network
//	manager.SetServiceResolver(network)                        // Service -> address
//
// for a k8s.io/apiserver/pkg/util/webhook.ClientManager (and whatever is made
// of one, such as the webhook admission plugins), or for an http.Transport:
//
//	&http.Transport{DialContext: network.DialService(namespace, name, port)}
//
// A Service is looked up in the server's own storages when a connection is
// made: there is no informer, nothing to start and nothing to wait for, and an
// endpoint that has just become ready is found.
//
// Ready endpoints are called directly, not through the ClusterIP: real nodes'
// pods have addresses this host routes to, and so nothing depends on a proxy
// on this machine. A Service without endpoints of its own (ExternalName, or
// default/kubernetes of a server on loopback) is found as described at Resolve.
//
// Connections end with the Network: idle ones that a library's transport keeps
// would otherwise outlive the server by a minute and a half.
//
// The API of this package is not stable: see docs/api.md.
package services
