package core

import (
	corev1 "k8s.io/api/core/v1"
)

func setVolumeDefaults(v *corev1.Volume) {
	s := &v.VolumeSource
	if *s == (corev1.VolumeSource{}) {
		s.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	if s.Image != nil {
		setIfZero(&s.Image.PullPolicy, pullPolicy(s.Image.Reference))
	}
	if s.HostPath != nil {
		setIfNil(&s.HostPath.Type, corev1.HostPathUnset)
	}
	if s.Secret != nil {
		setIfNil(&s.Secret.DefaultMode, corev1.SecretVolumeSourceDefaultMode)
	}
	if s.ConfigMap != nil {
		setIfNil(&s.ConfigMap.DefaultMode, corev1.ConfigMapVolumeSourceDefaultMode)
	}
	if s.DownwardAPI != nil {
		setIfNil(&s.DownwardAPI.DefaultMode, corev1.DownwardAPIVolumeSourceDefaultMode)
		setDownwardDefaults(s.DownwardAPI.Items)
	}
	if s.Projected != nil {
		setProjectedDefaults(s.Projected)
	}
	if s.Ephemeral != nil && s.Ephemeral.VolumeClaimTemplate != nil {
		setClaimSpecDefaults(&s.Ephemeral.VolumeClaimTemplate.Spec)
	}
	setRemoteDefaults(s)
}

func setRemoteDefaults(s *corev1.VolumeSource) {
	if s.ISCSI != nil {
		setIfZero(&s.ISCSI.ISCSIInterface, "default")
	}
	if s.RBD != nil {
		setIfZero(&s.RBD.RBDPool, "rbd")
		setIfZero(&s.RBD.RadosUser, "admin")
		setIfZero(&s.RBD.Keyring, "/etc/ceph/keyring")
	}
	if s.AzureDisk != nil {
		setAzureDiskDefaults(s.AzureDisk)
	}
	if s.ScaleIO != nil {
		setIfZero(&s.ScaleIO.StorageMode, "ThinProvisioned")
		setIfZero(&s.ScaleIO.FSType, "xfs")
	}
}

func setDownwardDefaults(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		setFieldRefDefaults(items[i].FieldRef)
	}
}

func setProjectedDefaults(p *corev1.ProjectedVolumeSource) {
	setIfNil(&p.DefaultMode, corev1.ProjectedVolumeSourceDefaultMode)
	for i := range p.Sources {
		s := &p.Sources[i]
		if s.DownwardAPI != nil {
			setDownwardDefaults(s.DownwardAPI.Items)
		}
		if s.ServiceAccountToken != nil {
			setIfNil(&s.ServiceAccountToken.ExpirationSeconds, defaultTokenSeconds)
		}
		if s.PodCertificate != nil {
			setIfNil(&s.PodCertificate.MaxExpirationSeconds, defaultCertificateSeconds)
		}
	}
}

func setAzureDiskDefaults(d *corev1.AzureDiskVolumeSource) {
	setIfNil(&d.CachingMode, corev1.AzureDataDiskCachingReadWrite)
	setIfNil(&d.Kind, corev1.AzureSharedBlobDisk)
	setIfNil(&d.FSType, "ext4")
	setIfNil(&d.ReadOnly, false)
}

// SetPersistentVolumeDefaults fills in what a PersistentVolume leaves out.
func SetPersistentVolumeDefaults(pv *corev1.PersistentVolume) {
	setIfZero(&pv.Status.Phase, corev1.VolumePending)
	setIfZero(&pv.Spec.PersistentVolumeReclaimPolicy, corev1.PersistentVolumeReclaimRetain)
	setIfNil(&pv.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	roundResources(pv.Spec.Capacity)
	SetPersistentVolumeSourceDefaults(&pv.Spec.PersistentVolumeSource)
}

// SetPersistentVolumeSourceDefaults fills in what the source of a volume leaves out.
func SetPersistentVolumeSourceDefaults(s *corev1.PersistentVolumeSource) {
	if s.HostPath != nil {
		setIfNil(&s.HostPath.Type, corev1.HostPathUnset)
	}
	if s.ISCSI != nil {
		setIfZero(&s.ISCSI.ISCSIInterface, "default")
	}
	if s.RBD != nil {
		setIfZero(&s.RBD.RBDPool, "rbd")
		setIfZero(&s.RBD.RadosUser, "admin")
		setIfZero(&s.RBD.Keyring, "/etc/ceph/keyring")
	}
	if s.AzureDisk != nil {
		setAzureDiskDefaults(s.AzureDisk)
	}
	if s.ScaleIO != nil {
		setIfZero(&s.ScaleIO.StorageMode, "ThinProvisioned")
		setIfZero(&s.ScaleIO.FSType, "xfs")
	}
}

// SetPersistentVolumeClaimDefaults fills in what a PersistentVolumeClaim leaves out.
func SetPersistentVolumeClaimDefaults(c *corev1.PersistentVolumeClaim) {
	setIfZero(&c.Status.Phase, corev1.ClaimPending)
	setClaimSpecDefaults(&c.Spec)
	roundResources(c.Status.Capacity)
	roundResources(c.Status.AllocatedResources)
}

func setClaimSpecDefaults(s *corev1.PersistentVolumeClaimSpec) {
	setIfNil(&s.VolumeMode, corev1.PersistentVolumeFilesystem)
	roundResources(s.Resources.Limits)
	roundResources(s.Resources.Requests)
}
