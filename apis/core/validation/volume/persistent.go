package volume

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// persistentSources lists the sources of a PersistentVolume called name, whose
// spec is at fldPath, in upstream's order.
func persistentSources(fldPath *field.Path, spec *corev1.PersistentVolumeSpec, name string) []check.Source {
	s := &spec.PersistentVolumeSource
	return []check.Source{
		{Name: "hostPath", Set: s.HostPath != nil, Validate: func(at *field.Path) field.ErrorList { return hostPath(at, s.HostPath) }},
		gceDisk(s.GCEPersistentDisk), awsDisk(s.AWSElasticBlockStore),
		{Name: "glusterfs", Set: s.Glusterfs != nil, Validate: func(at *field.Path) field.ErrorList { return glusterfs(at, s.Glusterfs) }},
		flocker(s.Flocker), nfs(s.NFS),
		{Name: "rbd", Set: s.RBD != nil, Validate: func(at *field.Path) field.ErrorList { return rbd(at, s.RBD.CephMonitors, s.RBD.RBDImage) }},
		quobyte(s.Quobyte),
		{Name: "cephfs", Another: "cephFS", Set: s.CephFS != nil, Validate: func(at *field.Path) field.ErrorList { return monitors(at, s.CephFS.Monitors) }},
		{Name: "iscsi", Set: s.ISCSI != nil, Validate: func(at *field.Path) field.ErrorList { return iscsiPersistent(at, s.ISCSI, name) }},
		{Name: "cinder", Set: s.Cinder != nil, Validate: func(at *field.Path) field.ErrorList {
			return append(check.Required(at.Child("volumeID"), s.Cinder.VolumeID), secretRef(at.Child("secretRef"), s.Cinder.SecretRef, nil, nil)...)
		}},
		fibreChannel(s.FC),
		{Name: "flexVolume", Uncounted: true, Set: s.FlexVolume != nil, Validate: func(at *field.Path) field.ErrorList { return flex(at, s.FlexVolume.Driver, s.FlexVolume.Options) }},
		{Name: "azureFile", Set: s.AzureFile != nil, Validate: func(at *field.Path) field.ErrorList {
			errs := append(check.Required(at.Child("secretName"), s.AzureFile.SecretName), check.Required(at.Child("shareName"), s.AzureFile.ShareName)...)
			if n := s.AzureFile.SecretNamespace; n != nil {
				errs = append(errs, check.Required(at.Child("secretNamespace"), *n)...)
			}
			return errs
		}},
		vsphere(s.VsphereVolume), photon(s.PhotonPersistentDisk), portworx(s.PortworxVolume), azureDisk(s.AzureDisk),
		{Name: "scaleIO", Set: s.ScaleIO != nil, Validate: func(at *field.Path) field.ErrorList {
			return scaleIO(at, s.ScaleIO.Gateway, s.ScaleIO.System, s.ScaleIO.VolumeName)
		}},
		{Name: "local", Set: s.Local != nil, Validate: func(at *field.Path) field.ErrorList {
			errs := localVolume(at, s.Local)
			if spec.NodeAffinity == nil {
				errs = append(errs, field.Required(fldPath.Child("nodeAffinity"), "Local volume requires node affinity"))
			}
			return errs
		}},
		{Name: "storageos", Set: s.StorageOS != nil, Validate: func(at *field.Path) field.ErrorList {
			return append(storageOS(at, s.StorageOS.VolumeName, s.StorageOS.VolumeNamespace), objectRef(at.Child("secretRef"), s.StorageOS.SecretRef)...)
		}},
		{Name: "csi", Set: s.CSI != nil, Validate: func(at *field.Path) field.ErrorList { return csiPersistent(at, s.CSI) }},
	}
}

func localVolume(fldPath *field.Path, l *corev1.LocalVolumeSource) field.ErrorList {
	if l.Path == "" {
		return field.ErrorList{field.Required(fldPath.Child("path"), "")}
	}
	return check.NoBacksteps(fldPath.Child("path"), l.Path)
}

func glusterfs(fldPath *field.Path, g *corev1.GlusterfsPersistentVolumeSource) field.ErrorList {
	errs := append(check.Required(fldPath.Child("endpoints"), g.EndpointsName), check.Required(fldPath.Child("path"), g.Path)...)
	at := fldPath.Child("endpointsNamespace")
	switch n := g.EndpointsNamespace; {
	case n == nil:
	case *n == "":
		errs = append(errs, field.Invalid(at, *n, "if the endpointnamespace is set, it must be a valid namespace name"))
	default:
		errs = append(errs, check.Invalid(at, *n, validation.IsDNS1123Label(*n))...)
	}
	return errs
}

func iscsiPersistent(fldPath *field.Path, i *corev1.ISCSIPersistentVolumeSource, name string) field.ErrorList {
	var long field.ErrorList
	if i.InitiatorName != nil && len(name+":"+i.TargetPortal) > maxPortal {
		long = append(long, field.Invalid(fldPath.Child("targetportal"), i.TargetPortal, portalMessage))
	}
	secret := chapSecret(fldPath, i.DiscoveryCHAPAuth || i.SessionCHAPAuth, i.SecretRef != nil)
	if i.SecretRef != nil {
		secret = check.Required(fldPath.Child("secretRef", "name"), i.SecretRef.Name)
	}
	return iscsi{i.TargetPortal, i.IQN, i.Lun, i.InitiatorName, "must be valid format"}.validate(fldPath, long, secret)
}

// secretRef validates a reference to a secret of some namespace, with the rules
// for both names if any.
func secretRef(fldPath *field.Path, r *corev1.SecretReference, name, namespace func(string) []string) field.ErrorList {
	if r == nil {
		return nil
	}
	return append(check.Named(fldPath.Child("name"), r.Name, name), check.Named(fldPath.Child("namespace"), r.Namespace, namespace)...)
}

func objectRef(fldPath *field.Path, r *corev1.ObjectReference) field.ErrorList {
	if r == nil {
		return nil
	}
	return append(check.Required(fldPath.Child("name"), r.Name), check.Required(fldPath.Child("namespace"), r.Namespace)...)
}

// csiPersistent validates a driver's volume. The reference nodeStageSecretRef is
// for the driver to judge.
func csiPersistent(fldPath *field.Path, c *corev1.CSIPersistentVolumeSource) field.ErrorList {
	errs := append(csiDriver(fldPath.Child("driver"), c.Driver), check.Required(fldPath.Child("volumeHandle"), c.VolumeHandle)...)
	for _, r := range []struct {
		name string
		ref  *corev1.SecretReference
	}{
		{"controllerPublishSecretRef", c.ControllerPublishSecretRef}, {"controllerExpandSecretRef", c.ControllerExpandSecretRef},
		{"nodePublishSecretRef", c.NodePublishSecretRef}, {"nodeExpandSecretRef", c.NodeExpandSecretRef},
	} {
		errs = append(errs, secretRef(fldPath.Child(r.name), r.ref, check.IsSubdomain, validation.IsDNS1123Label)...)
	}
	return errs
}
