//go:build !linux

package cgroups

import "errors"

// Manager exists on Linux only.
type Manager struct{}

// New fails: there are no cgroups here.
func New() (*Manager, error) { return nil, errors.New("looking for cgroups: this is not Linux") }

// V2 is false.
func (m *Manager) V2() bool { return false }

// Set does nothing.
func (m *Manager) Set(string, Limits) error { return nil }

// Remove does nothing.
func (m *Manager) Remove(string) error { return nil }

// Prune does nothing.
func (m *Manager) Prune(string) {}
