// Package model decides, without touching anything, which endpoints serve each
// port of a Service as seen from one node. Its output is what proxy/nft renders.
//
// Contract: https://kubernetes.io/docs/reference/networking/virtual-ips/
//
// The API of this package is not stable: see docs/api.md.
package model
