// Package defs is where openapi-gen writes the Go definitions that gen
// renders; hack/generate-openapi.sh makes and removes them.
//
// The API of this package is not stable: see docs/api.md.
package defs
