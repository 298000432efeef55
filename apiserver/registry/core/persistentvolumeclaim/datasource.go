package persistentvolumeclaim

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// snapshotGroup is the only group that dataSource could name before
// dataSourceRef came: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#data-source-references.
const snapshotGroup = "snapshot.storage.k8s.io"

// normalizeSources makes dataSource and dataSourceRef equal, for clients that
// use only one of them. old is nil at creation.
func normalizeSources(s, old *corev1.PersistentVolumeClaimSpec) {
	if r := s.DataSourceRef; r != nil && ptr.Deref(r.Namespace, "") != "" && (old == nil || old.DataSourceRef == nil) {
		s.DataSourceRef = nil // sources in other namespaces are alpha, and off
	}
	had := old != nil && (old.DataSource != nil || old.DataSourceRef != nil)
	if !had && s.DataSourceRef == nil && !cloneOrSnapshot(s.DataSource) {
		s.DataSource = nil
	}
	copySource(s)
}

// copySource fills in the one that is not there.
func copySource(s *corev1.PersistentVolumeClaimSpec) {
	switch d, r := s.DataSource, s.DataSourceRef; {
	case d != nil && r == nil:
		s.DataSourceRef = &corev1.TypedObjectReference{APIGroup: d.APIGroup, Kind: d.Kind, Name: d.Name}
	case d == nil && r != nil && ptr.Deref(r.Namespace, "") == "":
		s.DataSource = &corev1.TypedLocalObjectReference{APIGroup: r.APIGroup, Kind: r.Kind, Name: r.Name}
	}
}

func cloneOrSnapshot(d *corev1.TypedLocalObjectReference) bool {
	if d == nil {
		return true
	}
	group := ptr.Deref(d.APIGroup, "")
	return d.Kind == "PersistentVolumeClaim" && group == "" || d.Kind == "VolumeSnapshot" && group == snapshotGroup
}
