// Package defs is where openapi-gen writes the Go definitions that gen
// renders; hack/generate-openapi.sh makes and removes them.
package defs
