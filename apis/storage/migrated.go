package storage

import corev1 "k8s.io/api/core/v1"

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

// InTreeProvisioner returns the name of a volume's kind of old, "" if it is of
// none.
func InTreeProvisioner(pv *corev1.PersistentVolume) string {
	s := &pv.Spec.PersistentVolumeSource
	switch {
	case s.AWSElasticBlockStore != nil:
		return awsEBS
	case s.GCEPersistentDisk != nil:
		return gcePD
	case s.Cinder != nil:
		return cinder
	case s.AzureDisk != nil:
		return azureDisk
	case s.AzureFile != nil:
		return azureFile
	case s.VsphereVolume != nil:
		return vsphereVolume
	case s.PortworxVolume != nil:
		return portworx
	}
	return ""
}

// InlineProvisioner is InTreeProvisioner of a pod's volume.
func InlineProvisioner(s *corev1.VolumeSource) string {
	switch {
	case s.AWSElasticBlockStore != nil:
		return awsEBS
	case s.GCEPersistentDisk != nil:
		return gcePD
	case s.Cinder != nil:
		return cinder
	case s.AzureDisk != nil:
		return azureDisk
	case s.AzureFile != nil:
		return azureFile
	case s.VsphereVolume != nil:
		return vsphereVolume
	case s.PortworxVolume != nil:
		return portworx
	}
	return ""
}
