// Package volume validates volumes of pods, PersistentVolumes and their claims.
//
// The API of this package is not stable: see docs/api.md.
package volume
