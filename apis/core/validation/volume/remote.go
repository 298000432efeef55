package volume

import (
	"maps"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// Sources of volumes that are kept somewhere else. Most of them are served by
// CSI drivers today; their fields still mean what they meant.

const maxPartition, maxLun = 255, 255

// foreignVolumes lists the sources of a pod's volume that are kept somewhere
// else, and those that upstream has among them.
func foreignVolumes(s *corev1.VolumeSource) []check.Source {
	return []check.Source{
		gceDisk(s.GCEPersistentDisk), awsDisk(s.AWSElasticBlockStore),
		{Name: "secret", Set: s.Secret != nil, Validate: func(at *field.Path) field.ErrorList { return secretVolume(at, s.Secret) }},
		nfs(s.NFS),
		{Name: "iscsi", Set: s.ISCSI != nil, Validate: func(at *field.Path) field.ErrorList {
			i := s.ISCSI
			secret := chapSecret(at, i.DiscoveryCHAPAuth || i.SessionCHAPAuth, i.SecretRef != nil)
			return iscsi{i.TargetPortal, i.IQN, i.Lun, i.InitiatorName, "must be valid format starting with iqn, eui, or naa"}.validate(at, nil, secret)
		}},
		{Name: "glusterfs", Set: s.Glusterfs != nil, Validate: func(at *field.Path) field.ErrorList {
			return append(check.Required(at.Child("endpoints"), s.Glusterfs.EndpointsName), check.Required(at.Child("path"), s.Glusterfs.Path)...)
		}},
		flocker(s.Flocker),
		{Name: "persistentVolumeClaim", Set: s.PersistentVolumeClaim != nil, Validate: func(at *field.Path) field.ErrorList {
			return check.Required(at.Child("claimName"), s.PersistentVolumeClaim.ClaimName)
		}},
		{Name: "rbd", Set: s.RBD != nil, Validate: func(at *field.Path) field.ErrorList { return rbd(at, s.RBD.CephMonitors, s.RBD.RBDImage) }},
		{Name: "cinder", Set: s.Cinder != nil, Validate: func(at *field.Path) field.ErrorList {
			return append(check.Required(at.Child("volumeID"), s.Cinder.VolumeID), localRef(at.Child("secretRef"), s.Cinder.SecretRef)...)
		}},
		{Name: "cephfs", Another: "cephFS", Set: s.CephFS != nil, Validate: func(at *field.Path) field.ErrorList { return monitors(at, s.CephFS.Monitors) }},
		quobyte(s.Quobyte),
		{Name: "downwardAPI", Another: "downwarAPI", Set: s.DownwardAPI != nil, Validate: func(at *field.Path) field.ErrorList { return downwardVolume(at, s.DownwardAPI) }},
		fibreChannel(s.FC),
		{Name: "flexVolume", Set: s.FlexVolume != nil, Validate: func(at *field.Path) field.ErrorList { return flex(at, s.FlexVolume.Driver, s.FlexVolume.Options) }},
		{Name: "configMap", Set: s.ConfigMap != nil, Validate: func(at *field.Path) field.ErrorList { return configMapVolume(at, s.ConfigMap) }},
		{Name: "azureFile", Set: s.AzureFile != nil, Validate: func(at *field.Path) field.ErrorList {
			return append(check.Required(at.Child("secretName"), s.AzureFile.SecretName), check.Required(at.Child("shareName"), s.AzureFile.ShareName)...)
		}},
		vsphere(s.VsphereVolume), photon(s.PhotonPersistentDisk), portworx(s.PortworxVolume), azureDisk(s.AzureDisk),
		{Name: "storageos", Set: s.StorageOS != nil, Validate: func(at *field.Path) field.ErrorList {
			return append(storageOS(at, s.StorageOS.VolumeName, s.StorageOS.VolumeNamespace), localRef(at.Child("secretRef"), s.StorageOS.SecretRef)...)
		}},
	}
}

func vsphere(v *corev1.VsphereVirtualDiskVolumeSource) check.Source {
	return check.Source{Name: "vsphereVolume", Set: v != nil, Validate: func(at *field.Path) field.ErrorList { return check.Required(at.Child("volumePath"), v.VolumePath) }}
}

func photon(p *corev1.PhotonPersistentDiskVolumeSource) check.Source {
	return check.Source{Name: "photonPersistentDisk", Set: p != nil, Validate: func(at *field.Path) field.ErrorList { return check.Required(at.Child("pdID"), p.PdID) }}
}

func portworx(p *corev1.PortworxVolumeSource) check.Source {
	return check.Source{Name: "portworxVolume", Set: p != nil, Validate: func(at *field.Path) field.ErrorList { return check.Required(at.Child("volumeID"), p.VolumeID) }}
}

func gceDisk(d *corev1.GCEPersistentDiskVolumeSource) check.Source {
	return check.Source{Name: "gcePersistentDisk", As: "persistentDisk", Set: d != nil, Validate: func(at *field.Path) field.ErrorList {
		return append(check.Required(at.Child("pdName"), d.PDName), partition(at, d.Partition)...)
	}}
}

func awsDisk(d *corev1.AWSElasticBlockStoreVolumeSource) check.Source {
	return check.Source{Name: "awsElasticBlockStore", Set: d != nil, Validate: func(at *field.Path) field.ErrorList {
		return append(check.Required(at.Child("volumeID"), d.VolumeID), partition(at, d.Partition)...)
	}}
}

// partition accepts 0, which is none, although the message does not mention it.
func partition(fldPath *field.Path, n int32) field.ErrorList {
	if n < 0 || n > maxPartition {
		return field.ErrorList{field.Invalid(fldPath.Child("partition"), n, validation.InclusiveRangeError(1, maxPartition))}
	}
	return nil
}

func nfs(n *corev1.NFSVolumeSource) check.Source {
	return check.Source{Name: "nfs", Set: n != nil, Validate: func(at *field.Path) field.ErrorList {
		errs := append(check.Required(at.Child("server"), n.Server), check.Required(at.Child("path"), n.Path)...)
		if !path.IsAbs(n.Path) {
			errs = append(errs, field.Invalid(at.Child("path"), n.Path, "must be an absolute path"))
		}
		return errs
	}}
}

// The names of iSCSI targets and initiators, by what they begin with. They are
// compiled when an iSCSI volume comes, which is seldom.
const (
	iqnFormat = `iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$`
	euiFormat = `^eui.[[:alnum:]]{16}$`
	naaFormat = `^naa.[[:alnum:]]{32}$`
)

// iscsi holds what iSCSI volumes of pods and PersistentVolumes have in common.
type iscsi struct {
	portal, iqn string
	lun         int32
	initiator   *string
	otherwise   string // what a name that begins with none of the three must be
}

func chapSecret(fldPath *field.Path, chap, secret bool) field.ErrorList {
	if chap && !secret {
		return field.ErrorList{field.Required(fldPath.Child("secretRef"), "")}
	}
	return nil
}

// validate returns the errors in upstream's order, those of portal and secret
// that the caller found among them.
func (i iscsi) validate(fldPath *field.Path, portal, secret field.ErrorList) field.ErrorList {
	errs := append(check.Required(fldPath.Child("targetPortal"), i.portal), portal...)
	if i.iqn == "" {
		errs = append(errs, field.Required(fldPath.Child("iqn"), ""))
	} else {
		errs = append(errs, i.name(fldPath.Child("iqn"), i.iqn)...)
	}
	if i.lun < 0 || i.lun > maxLun {
		errs = append(errs, field.Invalid(fldPath.Child("lun"), i.lun, validation.InclusiveRangeError(0, maxLun)))
	}
	errs = append(errs, secret...)
	if i.initiator != nil {
		errs = append(errs, i.name(fldPath.Child("initiatorname"), *i.initiator)...)
	}
	return errs
}

func (i iscsi) name(fldPath *field.Path, v string) field.ErrorList {
	for prefix, format := range map[string]string{"iqn": iqnFormat, "eui": euiFormat, "naa": naaFormat} {
		if !strings.HasPrefix(v, prefix) {
			continue
		}
		if ok, _ := regexp.MatchString(format, v); !ok { // the format is constant and compiles
			return field.ErrorList{field.Invalid(fldPath, v, "must be valid format")}
		}
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath, v, i.otherwise)}
}

func flocker(f *corev1.FlockerVolumeSource) check.Source {
	return check.Source{Name: "flocker", Set: f != nil, Validate: func(at *field.Path) field.ErrorList {
		var errs field.ErrorList
		if f.DatasetName == "" && f.DatasetUUID == "" {
			errs = append(errs, field.Required(at, "one of datasetName and datasetUUID is required"))
		}
		if f.DatasetName != "" && f.DatasetUUID != "" {
			errs = append(errs, field.Invalid(at, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
		}
		if strings.Contains(f.DatasetName, "/") {
			errs = append(errs, field.Invalid(at.Child("datasetName"), f.DatasetName, "must not contain '/'"))
		}
		return errs
	}}
}

func monitors(fldPath *field.Path, list []string) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(fldPath.Child("monitors"), "")}
	}
	return nil
}

func rbd(fldPath *field.Path, mons []string, image string) field.ErrorList {
	return append(monitors(fldPath, mons), check.Required(fldPath.Child("image"), image)...)
}

func fibreChannel(f *corev1.FCVolumeSource) check.Source {
	return check.Source{Name: "fc", Set: f != nil, Validate: func(at *field.Path) field.ErrorList {
		var errs field.ErrorList
		targets, ids := len(f.TargetWWNs) > 0, len(f.WWIDs) > 0
		switch {
		case !targets && !ids:
			errs = append(errs, field.Required(at.Child("targetWWNs"), "must specify either targetWWNs or wwids, but not both"))
		case targets && ids:
			errs = append(errs, field.Invalid(at.Child("targetWWNs"), f.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously"))
		}
		switch {
		case !targets:
		case f.Lun == nil:
			errs = append(errs, field.Required(at.Child("lun"), "lun is required if targetWWNs is specified"))
		case *f.Lun < 0 || *f.Lun > maxLun:
			errs = append(errs, field.Invalid(at.Child("lun"), *f.Lun, validation.InclusiveRangeError(0, maxLun)))
		}
		return errs
	}}
}

func flex(fldPath *field.Path, driver string, options map[string]string) field.ErrorList {
	errs := check.Required(fldPath.Child("driver"), driver)
	for _, k := range slices.Sorted(maps.Keys(options)) {
		domain, _, _ := strings.Cut(k, "/")
		if domain = "." + strings.ToLower(domain); strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io") {
			errs = append(errs, field.Invalid(fldPath.Child("options").Key(k), k, "kubernetes.io and k8s.io namespaces are reserved"))
		}
	}
	return errs
}

func azureDisk(d *corev1.AzureDiskVolumeSource) check.Source {
	return check.Source{Name: "azureDisk", Set: d != nil, Validate: func(at *field.Path) field.ErrorList {
		errs := append(check.Required(at.Child("diskName"), d.DiskName), check.Required(at.Child("diskURI"), d.DataDiskURI)...)
		errs = append(errs, check.OptionalOneOf(at.Child("cachingMode"), d.CachingMode,
			corev1.AzureDataDiskCachingNone, corev1.AzureDataDiskCachingReadOnly, corev1.AzureDataDiskCachingReadWrite)...)
		errs = append(errs, check.OptionalOneOf(at.Child("kind"), d.Kind,
			corev1.AzureDedicatedBlobDisk, corev1.AzureManagedDisk, corev1.AzureSharedBlobDisk)...)
		uri := at.Child("diskURI")
		switch {
		case d.Kind == nil:
		case *d.Kind == corev1.AzureManagedDisk && !strings.HasPrefix(d.DataDiskURI, "/subscriptions/"):
			errs = append(errs, field.NotSupported(uri, d.DataDiskURI, []string{"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"}))
		case *d.Kind != corev1.AzureManagedDisk && !strings.HasPrefix(d.DataDiskURI, "https://"):
			errs = append(errs, field.NotSupported(uri, d.DataDiskURI, []string{"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"}))
		}
		return errs
	}}
}

func quobyte(q *corev1.QuobyteVolumeSource) check.Source {
	const pairs = "must be a host:port pair or multiple pairs separated by commas"
	return check.Source{Name: "quobyte", Set: q != nil, Validate: func(at *field.Path) field.ErrorList {
		var errs field.ErrorList
		switch {
		case q.Registry == "":
			errs = append(errs, field.Required(at.Child("registry"), pairs))
		case len(q.Tenant) >= 65:
			errs = append(errs, field.Required(at.Child("tenant"), "must be a UUID and may not exceed a length of 64 characters"))
		default:
			for _, r := range strings.Split(q.Registry, ",") {
				if _, _, err := net.SplitHostPort(r); err != nil {
					errs = append(errs, field.Invalid(at.Child("registry"), q.Registry, pairs))
				}
			}
		}
		return append(errs, check.Required(at.Child("volume"), q.Volume)...)
	}}
}

func scaleIO(fldPath *field.Path, gateway, system, volume string) field.ErrorList {
	errs := append(check.Required(fldPath.Child("gateway"), gateway), check.Required(fldPath.Child("system"), system)...)
	return append(errs, check.Required(fldPath.Child("volumeName"), volume)...)
}

func storageOS(fldPath *field.Path, volume, namespace string) field.ErrorList {
	errs := check.Named(fldPath.Child("volumeName"), volume, validation.IsDNS1123Label)
	if namespace != "" {
		errs = append(errs, check.Invalid(fldPath.Child("volumeNamespace"), namespace, validation.IsDNS1123Label(namespace))...)
	}
	return errs
}
