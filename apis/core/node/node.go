// Package node answers the questions that many parts ask of a node. Every function is
// pure.
//
// The API of this package is not stable: see docs/api.md.
package node

import (
	corev1 "k8s.io/api/core/v1"
)

// Labels of nodes from before v1.14.
const (
	LabelBetaArch = "beta.kubernetes.io/arch"
	LabelBetaOS   = "beta.kubernetes.io/os"
)

// GetCondition returns the condition of type t in s, or nil. The result points into s.
func GetCondition(s *corev1.NodeStatus, t corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}

// IsReady reports whether n has the condition Ready with status True.
func IsReady(n *corev1.Node) bool {
	c := GetCondition(&n.Status, corev1.NodeReady)
	return c != nil && c.Status == corev1.ConditionTrue
}
