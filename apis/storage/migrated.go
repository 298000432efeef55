package storage

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Names of volume kinds that were part of Kubernetes once, as storage classes
// have them. Their volumes are CSI drivers' now:
// https://kubernetes.io/docs/concepts/storage/volumes/#csi-migration.
const (
	awsEBS        = "kubernetes.io/aws-ebs"
	gcePD         = "kubernetes.io/gce-pd"
	cinder        = "kubernetes.io/cinder"
	azureDisk     = "kubernetes.io/azure-disk"
	azureFile     = "kubernetes.io/azure-file"
	vsphereVolume = "kubernetes.io/vsphere-volume"
	portworx      = "kubernetes.io/portworx-volume"
)

// CSIDriver returns the driver that took over from a provisioner of old, "" if
// the provisioner is none.
func CSIDriver(provisioner string) string {
	switch provisioner {
	case awsEBS:
		return "ebs.csi.aws.com"
	case gcePD:
		return "pd.csi.storage.gke.io"
	case cinder:
		return "cinder.csi.openstack.org"
	case azureDisk:
		return "disk.csi.azure.com"
	case azureFile:
		return "file.csi.azure.com"
	case vsphereVolume:
		return "csi.vsphere.vmware.com"
	case portworx:
		return "pxd.portworx.com"
	}
	return ""
}

// InTreeProvisioner returns the name of a volume's in-tree kind, "" if it has none.
func InTreeProvisioner(pv *corev1.PersistentVolume) string {
	s := &pv.Spec.PersistentVolumeSource
	return inTree(s.AWSElasticBlockStore != nil, s.GCEPersistentDisk != nil, s.Cinder != nil, s.AzureDisk != nil,
		s.AzureFile != nil, s.VsphereVolume != nil, s.PortworxVolume != nil)
}

// InlineProvisioner returns InTreeProvisioner of a pod's volume.
func InlineProvisioner(s *corev1.VolumeSource) string {
	return inTree(s.AWSElasticBlockStore != nil, s.GCEPersistentDisk != nil, s.Cinder != nil, s.AzureDisk != nil,
		s.AzureFile != nil, s.VsphereVolume != nil, s.PortworxVolume != nil)
}

// inTree returns the name of the first kind that is set. Kinds are in the order of
// names.
func inTree(set ...bool) string {
	names := [...]string{awsEBS, gcePD, cinder, azureDisk, azureFile, vsphereVolume, portworx}
	if i := slices.Index(set, true); i >= 0 {
		return names[i]
	}
	return ""
}
