// Package model decides, without touching anything, which endpoints serve each
// port of a Service as seen from one node. proxy/nft renders its output.
//
// Contract: https://kubernetes.io/docs/reference/networking/virtual-ips/
//
// The API of this package is not stable: see docs/api.md.
package model
