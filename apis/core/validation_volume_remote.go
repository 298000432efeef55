package core

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Sources of volumes that are kept somewhere else. Most of them are served by
// CSI drivers today; their fields still mean what they meant.

const maxPartition = 255

// foreignVolumes lists the sources of a pod's volume that reach for storage elsewhere.
func foreignVolumes(s *corev1.VolumeSource) []aSource {
	return []aSource{
		{"gcePersistentDisk", s.GCEPersistentDisk != nil, func(at *field.Path) field.ErrorList { return gceDisk(at, s.GCEPersistentDisk) }},
		{"awsElasticBlockStore", s.AWSElasticBlockStore != nil, func(at *field.Path) field.ErrorList { return awsDisk(at, s.AWSElasticBlockStore) }},
		{"nfs", s.NFS != nil, func(at *field.Path) field.ErrorList { return nfs(at, s.NFS) }},
		{"iscsi", s.ISCSI != nil, func(at *field.Path) field.ErrorList {
			i := s.ISCSI
			secret := i.SecretRef != nil
			return iscsi(at, i.TargetPortal, i.IQN, i.Lun, i.InitiatorName, i.DiscoveryCHAPAuth || i.SessionCHAPAuth, secret)
		}},
		{"glusterfs", s.Glusterfs != nil, func(at *field.Path) field.ErrorList {
			return append(required(at.Child("endpoints"), s.Glusterfs.EndpointsName), relativeFromPath(at, s.Glusterfs.Path)...)
		}},
		{"flocker", s.Flocker != nil, func(at *field.Path) field.ErrorList { return flocker(at, s.Flocker) }},
		{"rbd", s.RBD != nil, func(at *field.Path) field.ErrorList { return rbd(at, s.RBD.CephMonitors, s.RBD.RBDImage) }},
		{"cinder", s.Cinder != nil, func(at *field.Path) field.ErrorList {
			return append(required(at.Child("volumeID"), s.Cinder.VolumeID), localRef(at.Child("secretRef"), s.Cinder.SecretRef)...)
		}},
		{"cephfs", s.CephFS != nil, func(at *field.Path) field.ErrorList { return monitors(at, s.CephFS.Monitors) }},
		{"fc", s.FC != nil, func(at *field.Path) field.ErrorList { return fibreChannel(at, s.FC) }},
		{"flexVolume", s.FlexVolume != nil, func(at *field.Path) field.ErrorList { return flex(at, s.FlexVolume.Driver, s.FlexVolume.Options) }},
		{"azureFile", s.AzureFile != nil, func(at *field.Path) field.ErrorList {
			return append(required(at.Child("secretName"), s.AzureFile.SecretName), required(at.Child("shareName"), s.AzureFile.ShareName)...)
		}},
		{"azureDisk", s.AzureDisk != nil, func(at *field.Path) field.ErrorList { return azureDisk(at, s.AzureDisk) }},
		{"vsphereVolume", s.VsphereVolume != nil, func(at *field.Path) field.ErrorList {
			return required(at.Child("volumePath"), s.VsphereVolume.VolumePath)
		}},
		{"photonPersistentDisk", s.PhotonPersistentDisk != nil, func(at *field.Path) field.ErrorList { return required(at.Child("pdID"), s.PhotonPersistentDisk.PdID) }},
		{"portworxVolume", s.PortworxVolume != nil, func(at *field.Path) field.ErrorList { return required(at.Child("volumeID"), s.PortworxVolume.VolumeID) }},
		{"quobyte", s.Quobyte != nil, func(at *field.Path) field.ErrorList { return quobyte(at, s.Quobyte) }},
		{"scaleIO", s.ScaleIO != nil, func(at *field.Path) field.ErrorList {
			return scaleIO(at, s.ScaleIO.Gateway, s.ScaleIO.System, s.ScaleIO.VolumeName)
		}},
		{"storageos", s.StorageOS != nil, func(at *field.Path) field.ErrorList {
			o := s.StorageOS
			return append(storageOS(at, o.VolumeName, o.VolumeNamespace), localRef(at.Child("secretRef"), o.SecretRef)...)
		}},
	}
}

func gceDisk(fldPath *field.Path, d *corev1.GCEPersistentDiskVolumeSource) field.ErrorList {
	return append(required(fldPath.Child("pdName"), d.PDName), partition(fldPath, d.Partition)...)
}

func awsDisk(fldPath *field.Path, d *corev1.AWSElasticBlockStoreVolumeSource) field.ErrorList {
	return append(required(fldPath.Child("volumeID"), d.VolumeID), partition(fldPath, d.Partition)...)
}

func partition(fldPath *field.Path, n int32) field.ErrorList {
	if n < 0 || n > maxPartition {
		return field.ErrorList{field.Invalid(fldPath.Child("partition"), n, validation.InclusiveRangeError(0, maxPartition))}
	}
	return nil
}

func nfs(fldPath *field.Path, n *corev1.NFSVolumeSource) field.ErrorList {
	errs := append(required(fldPath.Child("server"), n.Server), required(fldPath.Child("path"), n.Path)...)
	if n.Path != "" && !strings.HasPrefix(n.Path, "/") {
		errs = append(errs, field.Invalid(fldPath.Child("path"), n.Path, "must be an absolute path"))
	}
	return errs
}

// iqnFormat is compiled when an iSCSI volume comes, which is seldom.
const iqnFormat = `^(iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$|eui\.[[:alnum:]]{16}$|naa\.[[:alnum:]]{32}$)`

func iscsi(fldPath *field.Path, portal, iqn string, lun int32, initiator *string, chap, secret bool) field.ErrorList {
	errs := required(fldPath.Child("targetPortal"), portal)
	name := func(at *field.Path, v string) {
		if ok, _ := regexp.MatchString(iqnFormat, v); !ok { // the format is constant and compiles
			errs = append(errs, field.Invalid(at, v, "must be valid format"))
		}
	}
	if iqn == "" {
		errs = append(errs, field.Required(fldPath.Child("iqn"), ""))
	} else {
		name(fldPath.Child("iqn"), iqn)
	}
	if lun < 0 || lun > 255 {
		errs = append(errs, field.Invalid(fldPath.Child("lun"), lun, validation.InclusiveRangeError(0, 255)))
	}
	if chap && !secret {
		errs = append(errs, field.Required(fldPath.Child("secretRef"), ""))
	}
	if initiator != nil {
		name(fldPath.Child("initiatorname"), *initiator)
	}
	return errs
}

// relativeFromPath is a Glusterfs volume's path: any, but never upwards.
func relativeFromPath(fldPath *field.Path, p string) field.ErrorList {
	errs := required(fldPath.Child("path"), p)
	return append(errs, noBacksteps(fldPath.Child("path"), p)...)
}

func flocker(fldPath *field.Path, f *corev1.FlockerVolumeSource) field.ErrorList {
	switch {
	case f.DatasetName == "" && f.DatasetUUID == "":
		return field.ErrorList{field.Required(fldPath, "one of datasetName and datasetUUID is required")}
	case f.DatasetName != "" && f.DatasetUUID != "":
		return field.ErrorList{field.Invalid(fldPath, "resource", "datasetName and datasetUUID can not be specified simultaneously")}
	case strings.Contains(f.DatasetName, "/"):
		return field.ErrorList{field.Invalid(fldPath.Child("datasetName"), f.DatasetName, "must not contain '/'")}
	}
	return nil
}

func monitors(fldPath *field.Path, list []string) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(fldPath.Child("monitors"), "")}
	}
	return nil
}

func rbd(fldPath *field.Path, mons []string, image string) field.ErrorList {
	return append(monitors(fldPath, mons), required(fldPath.Child("image"), image)...)
}

func fibreChannel(fldPath *field.Path, f *corev1.FCVolumeSource) field.ErrorList {
	var errs field.ErrorList
	targets, ids := len(f.TargetWWNs) > 0, len(f.WWIDs) > 0
	switch {
	case !targets && !ids:
		return field.ErrorList{field.Required(fldPath.Child("targetWWNs"), "must specify either targetWWNs or wwids, but not both")}
	case targets && ids:
		errs = append(errs, field.Invalid(fldPath.Child("targetWWNs"), f.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously"))
	}
	if targets {
		switch {
		case f.Lun == nil:
			errs = append(errs, field.Required(fldPath.Child("lun"), "lun is required if targetWWNs is specified"))
		case *f.Lun < 0 || *f.Lun > 255:
			errs = append(errs, field.Invalid(fldPath.Child("lun"), *f.Lun, validation.InclusiveRangeError(0, 255)))
		}
	}
	return errs
}

func flex(fldPath *field.Path, driver string, options map[string]string) field.ErrorList {
	errs := required(fldPath.Child("driver"), driver)
	for k := range options {
		if ns, _, _ := strings.Cut(k, "/"); ns == "kubernetes.io" || strings.HasSuffix(ns, ".kubernetes.io") {
			errs = append(errs, field.Invalid(fldPath.Child("options").Key(k), k, "kubernetes.io and its subdomains are reserved"))
		}
	}
	return errs
}

func azureDisk(fldPath *field.Path, d *corev1.AzureDiskVolumeSource) field.ErrorList {
	errs := append(required(fldPath.Child("diskName"), d.DiskName), required(fldPath.Child("diskURI"), d.DataDiskURI)...)
	errs = append(errs, optionalOneOf(fldPath.Child("cachingMode"), d.CachingMode,
		corev1.AzureDataDiskCachingNone, corev1.AzureDataDiskCachingReadOnly, corev1.AzureDataDiskCachingReadWrite)...)
	errs = append(errs, optionalOneOf(fldPath.Child("kind"), d.Kind,
		corev1.AzureSharedBlobDisk, corev1.AzureDedicatedBlobDisk, corev1.AzureManagedDisk)...)
	if d.Kind == nil || d.DataDiskURI == "" {
		return errs
	}
	managed := strings.HasPrefix(d.DataDiskURI, "/subscriptions/")
	switch {
	case *d.Kind == corev1.AzureManagedDisk && !managed:
		errs = append(errs, field.NotSupported(fldPath.Child("diskURI"), d.DataDiskURI, []string{"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"}))
	case *d.Kind != corev1.AzureManagedDisk && !strings.HasPrefix(d.DataDiskURI, "https://"):
		errs = append(errs, field.NotSupported(fldPath.Child("diskURI"), d.DataDiskURI, []string{"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"}))
	}
	return errs
}

func quobyte(fldPath *field.Path, q *corev1.QuobyteVolumeSource) field.ErrorList {
	errs := append(required(fldPath.Child("registry"), q.Registry), required(fldPath.Child("volume"), q.Volume)...)
	if len(q.Tenant) >= 65 {
		errs = append(errs, field.Required(fldPath.Child("tenant"), "must be a UUID and may not exceed a length of 64 characters"))
	}
	for _, r := range strings.Split(q.Registry, ",") {
		if q.Registry != "" && !strings.Contains(r, ":") {
			errs = append(errs, field.Invalid(fldPath.Child("registry"), r, "must be a host:port pair or multiple pairs separated by commas"))
		}
	}
	return errs
}

func scaleIO(fldPath *field.Path, gateway, system, volume string) field.ErrorList {
	errs := append(required(fldPath.Child("gateway"), gateway), required(fldPath.Child("system"), system)...)
	return append(errs, required(fldPath.Child("volumeName"), volume)...)
}

func storageOS(fldPath *field.Path, volume, namespace string) field.ErrorList {
	errs := named(fldPath.Child("volumeName"), volume, validation.IsDNS1123Label)
	if namespace != "" {
		errs = append(errs, invalid(fldPath.Child("volumeNamespace"), namespace, validation.IsDNS1123Label(namespace))...)
	}
	return errs
}

// secretRef validates a reference to a secret of some namespace.
func secretRef(fldPath *field.Path, r *corev1.SecretReference) field.ErrorList {
	if r == nil {
		return nil
	}
	return append(required(fldPath.Child("name"), r.Name), required(fldPath.Child("namespace"), r.Namespace)...)
}

// persistentSources lists the sources of a PersistentVolume.
func persistentSources(s *corev1.PersistentVolumeSource) []aSource {
	return []aSource{
		{"hostPath", s.HostPath != nil, func(at *field.Path) field.ErrorList { return hostPath(at, s.HostPath) }},
		{"local", s.Local != nil, func(at *field.Path) field.ErrorList {
			if s.Local.Path == "" {
				return field.ErrorList{field.Required(at.Child("path"), "")}
			}
			return noBacksteps(at.Child("path"), s.Local.Path)
		}},
		{"csi", s.CSI != nil, func(at *field.Path) field.ErrorList { return csiPersistent(at, s.CSI) }},
		{"nfs", s.NFS != nil, func(at *field.Path) field.ErrorList { return nfs(at, s.NFS) }},
		{"gcePersistentDisk", s.GCEPersistentDisk != nil, func(at *field.Path) field.ErrorList { return gceDisk(at, s.GCEPersistentDisk) }},
		{"awsElasticBlockStore", s.AWSElasticBlockStore != nil, func(at *field.Path) field.ErrorList { return awsDisk(at, s.AWSElasticBlockStore) }},
		{"glusterfs", s.Glusterfs != nil, func(at *field.Path) field.ErrorList {
			g := s.Glusterfs
			errs := append(required(at.Child("endpoints"), g.EndpointsName), relativeFromPath(at, g.Path)...)
			if g.EndpointsNamespace != nil {
				errs = append(errs, invalid(at.Child("endpointsNamespace"), *g.EndpointsNamespace, validation.IsDNS1123Label(*g.EndpointsNamespace))...)
			}
			return errs
		}},
		{"flocker", s.Flocker != nil, func(at *field.Path) field.ErrorList { return flocker(at, s.Flocker) }},
		{"rbd", s.RBD != nil, func(at *field.Path) field.ErrorList { return rbd(at, s.RBD.CephMonitors, s.RBD.RBDImage) }},
		{"quobyte", s.Quobyte != nil, func(at *field.Path) field.ErrorList { return quobyte(at, s.Quobyte) }},
		{"cephfs", s.CephFS != nil, func(at *field.Path) field.ErrorList {
			return append(monitors(at, s.CephFS.Monitors), secretRef(at.Child("secretRef"), s.CephFS.SecretRef)...)
		}},
		{"iscsi", s.ISCSI != nil, func(at *field.Path) field.ErrorList {
			i := s.ISCSI
			return iscsi(at, i.TargetPortal, i.IQN, i.Lun, i.InitiatorName, i.DiscoveryCHAPAuth || i.SessionCHAPAuth, i.SecretRef != nil)
		}},
		{"cinder", s.Cinder != nil, func(at *field.Path) field.ErrorList {
			return append(required(at.Child("volumeID"), s.Cinder.VolumeID), secretRef(at.Child("secretRef"), s.Cinder.SecretRef)...)
		}},
		{"fc", s.FC != nil, func(at *field.Path) field.ErrorList { return fibreChannel(at, s.FC) }},
		{"flexVolume", s.FlexVolume != nil, func(at *field.Path) field.ErrorList {
			return append(flex(at, s.FlexVolume.Driver, s.FlexVolume.Options), secretRef(at.Child("secretRef"), s.FlexVolume.SecretRef)...)
		}},
		{"azureFile", s.AzureFile != nil, func(at *field.Path) field.ErrorList {
			errs := append(required(at.Child("secretName"), s.AzureFile.SecretName), required(at.Child("shareName"), s.AzureFile.ShareName)...)
			if s.AzureFile.SecretNamespace != nil {
				errs = append(errs, required(at.Child("secretNamespace"), *s.AzureFile.SecretNamespace)...)
			}
			return errs
		}},
		{"azureDisk", s.AzureDisk != nil, func(at *field.Path) field.ErrorList { return azureDisk(at, s.AzureDisk) }},
		{"vsphereVolume", s.VsphereVolume != nil, func(at *field.Path) field.ErrorList {
			return required(at.Child("volumePath"), s.VsphereVolume.VolumePath)
		}},
		{"photonPersistentDisk", s.PhotonPersistentDisk != nil, func(at *field.Path) field.ErrorList { return required(at.Child("pdID"), s.PhotonPersistentDisk.PdID) }},
		{"portworxVolume", s.PortworxVolume != nil, func(at *field.Path) field.ErrorList { return required(at.Child("volumeID"), s.PortworxVolume.VolumeID) }},
		{"scaleIO", s.ScaleIO != nil, func(at *field.Path) field.ErrorList {
			return scaleIO(at, s.ScaleIO.Gateway, s.ScaleIO.System, s.ScaleIO.VolumeName)
		}},
		{"storageos", s.StorageOS != nil, func(at *field.Path) field.ErrorList {
			return storageOS(at, s.StorageOS.VolumeName, s.StorageOS.VolumeNamespace)
		}},
	}
}

func csiPersistent(fldPath *field.Path, c *corev1.CSIPersistentVolumeSource) field.ErrorList {
	errs := append(csiDriver(fldPath.Child("driver"), c.Driver), required(fldPath.Child("volumeHandle"), c.VolumeHandle)...)
	for _, r := range []struct {
		name string
		ref  *corev1.SecretReference
	}{
		{"controllerPublishSecretRef", c.ControllerPublishSecretRef}, {"controllerExpandSecretRef", c.ControllerExpandSecretRef},
		{"nodePublishSecretRef", c.NodePublishSecretRef}, {"nodeStageSecretRef", c.NodeStageSecretRef}, {"nodeExpandSecretRef", c.NodeExpandSecretRef},
	} {
		errs = append(errs, secretRef(fldPath.Child(r.name), r.ref)...)
	}
	return errs
}
