// Package serviceloadbalancer gives Services of type LoadBalancer a load
// balancer, and takes it back. An implementation of k8s.io/cloud-provider's
// LoadBalancer makes one: the built-in one is in nodeaddress.
//
// It wakes on Services, on Nodes that begin or cease to take traffic, and on
// what a balancer itself follows. Its contract is
// https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer.
//
// Invariants:
//
//  1. A Service has the finalizer before it has a load balancer, and loses it
//     after that.
//  2. A Service with a loadBalancerClass belongs to another controller: nothing of
//     it is read or written, unless it had a load balancer from here before.
//  3. A balancer is called again only if the Service, the nodes or the balancer's
//     own state changed, or if the last call failed.
//
// The API of this package is not stable: see docs/api.md.
package serviceloadbalancer
