// Package pods validates pods and templates of pods.
package pods
