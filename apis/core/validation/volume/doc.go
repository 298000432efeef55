// Package volume validates volumes of pods, PersistentVolumes and their claims.
package volume
