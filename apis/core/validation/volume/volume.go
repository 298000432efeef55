package volume

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/container"
	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

const (
	fileMode        = 0o777
	fileModeMessage = "must be a number between 0 and 0777 (octal), both inclusive"
	maxCSIDriver    = 63
	maxPortal       = 64 // of an iSCSI volume's name and portal together
	portalMessage   = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."
	noVolumeType    = "must specify a volume type"
	oneVolumeType   = "may not specify more than 1 volume type"
)

// Volumes validates the volumes of a pod and returns those that are good, by name.
func Volumes(fldPath *field.Path, list []corev1.Volume, opts options.Pod) (map[string]*corev1.Volume, field.ErrorList) {
	var errs field.ErrorList
	created := map[string]bool{} // claims that are made for ephemeral volumes
	for i := range list {
		if list[i].Ephemeral != nil && opts.Name() != "" {
			created[opts.Name()+"-"+list[i].Name] = true
		}
	}
	good := make(map[string]*corev1.Volume, len(list))
	for i := range list {
		v, at := &list[i], fldPath.Index(i)
		bad := volumeSource(at, v, opts)
		bad = append(bad, check.Named(at.Child("name"), v.Name, validation.IsDNS1123Label)...)
		if good[v.Name] != nil {
			bad = append(bad, field.Duplicate(at.Child("name"), v.Name))
		}
		if len(bad) == 0 {
			good[v.Name] = v
		}
		errs = append(errs, bad...)
		if c := v.PersistentVolumeClaim; c != nil && created[c.ClaimName] {
			errs = append(errs, field.Invalid(at.Child("persistentVolumeClaim", "claimName"), c.ClaimName,
				"must not reference a PVC that gets created for an ephemeral volume"))
		}
	}
	return good, errs
}

// volumeSource validates the source of a volume. Which of several counts goes by
// upstream's order.
func volumeSource(fldPath *field.Path, v *corev1.Volume, opts options.Pod) field.ErrorList {
	s := &v.VolumeSource
	list := append(localVolumes(s), append(foreignVolumes(s),
		check.Source{Name: "projected", Set: s.Projected != nil, Validate: func(at *field.Path) field.ErrorList { return projected(at, s.Projected, opts) }},
		check.Source{Name: "scaleIO", Set: s.ScaleIO != nil, Validate: func(at *field.Path) field.ErrorList {
			return scaleIO(at, s.ScaleIO.Gateway, s.ScaleIO.System, s.ScaleIO.VolumeName)
		}},
		check.Source{Name: "csi", Set: s.CSI != nil, Validate: func(at *field.Path) field.ErrorList { return csiVolume(at, s.CSI) }},
		check.Source{Name: "ephemeral", Set: s.Ephemeral != nil, Validate: func(at *field.Path) field.ErrorList {
			return append(ephemeralVolume(at, s.Ephemeral), claimName(fldPath.Child("name"), v.Name, opts)...)
		}},
		check.Source{Name: "image", Set: s.Image != nil, Validate: func(at *field.Path) field.ErrorList {
			var errs field.ErrorList
			if !opts.AllowEmptyImageVolumeReference {
				errs = check.Required(at.Child("reference"), s.Image.Reference)
			}
			return append(errs, container.PullPolicy(at.Child("pullPolicy"), s.Image.PullPolicy)...)
		}})...)
	errs := check.ExactlyOne(fldPath, list, noVolumeType, oneVolumeType)
	if i := s.ISCSI; i != nil && i.InitiatorName != nil && len(v.Name+":"+i.TargetPortal) > maxPortal {
		errs = append(errs, field.Invalid(fldPath.Child("name"), v.Name, portalMessage))
	}
	return errs
}

// claimName validates the name of the claim that is made for an ephemeral volume.
func claimName(fldPath *field.Path, volume string, opts options.Pod) field.ErrorList {
	if opts.Name() == "" || volume == "" {
		return nil
	}
	var errs field.ErrorList
	name := opts.Name() + "-" + volume
	for _, msg := range check.IsSubdomain(name) {
		errs = append(errs, field.Invalid(fldPath, volume, fmt.Sprintf("PVC name %q: %v", name, msg)))
	}
	return errs
}

func localVolumes(s *corev1.VolumeSource) []check.Source {
	return []check.Source{
		{Name: "emptyDir", Set: s.EmptyDir != nil, Validate: func(at *field.Path) field.ErrorList {
			if l := s.EmptyDir.SizeLimit; l != nil && l.Sign() < 0 {
				return field.ErrorList{field.Forbidden(at.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity")}
			}
			return nil
		}},
		{Name: "hostPath", Set: s.HostPath != nil, Validate: func(at *field.Path) field.ErrorList { return hostPath(at, s.HostPath) }},
		{Name: "gitRepo", Set: s.GitRepo != nil, Validate: func(at *field.Path) field.ErrorList {
			return append(check.Required(at.Child("repository"), s.GitRepo.Repository), check.RelativePath(at.Child("directory"), s.GitRepo.Directory)...)
		}},
	}
}

func hostPath(fldPath *field.Path, h *corev1.HostPathVolumeSource) field.ErrorList {
	if h.Path == "" {
		return check.Required(fldPath.Child("path"), h.Path)
	}
	return append(check.NoBacksteps(fldPath.Child("path"), h.Path), check.OptionalOneOf(fldPath.Child("type"), h.Type,
		corev1.HostPathUnset, corev1.HostPathBlockDev, corev1.HostPathCharDev, corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate,
		corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket)...)
}

func secretVolume(fldPath *field.Path, s *corev1.SecretVolumeSource) field.ErrorList {
	errs := check.Required(fldPath.Child("secretName"), s.SecretName)
	errs = append(errs, optionalMode(fldPath.Child("defaultMode"), s.DefaultMode)...)
	return append(errs, keysToPaths(fldPath.Child("items"), s.Items)...)
}

func configMapVolume(fldPath *field.Path, c *corev1.ConfigMapVolumeSource) field.ErrorList {
	errs := check.Required(fldPath.Child("name"), c.Name)
	errs = append(errs, optionalMode(fldPath.Child("defaultMode"), c.DefaultMode)...)
	return append(errs, keysToPaths(fldPath.Child("items"), c.Items)...)
}

func optionalMode(fldPath *field.Path, mode *int32) field.ErrorList {
	if mode != nil && (*mode < 0 || *mode > fileMode) {
		return field.ErrorList{field.Invalid(fldPath, *mode, fileModeMessage)}
	}
	return nil
}

func keysToPaths(fldPath *field.Path, items []corev1.KeyToPath) field.ErrorList {
	var errs field.ErrorList
	for i := range items {
		errs = append(errs, keyToPath(fldPath.Index(i), &items[i])...)
	}
	return errs
}

func keyToPath(fldPath *field.Path, it *corev1.KeyToPath) field.ErrorList {
	errs := check.Required(fldPath.Child("key"), it.Key)
	errs = append(errs, pathOfFile(fldPath.Child("path"), it.Path)...)
	return append(errs, optionalMode(fldPath.Child("mode"), it.Mode)...)
}

func pathOfFile(fldPath *field.Path, p string) field.ErrorList {
	if p == "" {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	return check.FilePath(fldPath, p)
}

func localRef(fldPath *field.Path, r *corev1.LocalObjectReference) field.ErrorList {
	if r == nil {
		return nil
	}
	return check.Required(fldPath.Child("name"), r.Name)
}

// downwardFile validates one file of a volume, whose place in the list upstream
// does not name.
func downwardFile(fldPath *field.Path, it *corev1.DownwardAPIVolumeFile) field.ErrorList {
	errs := pathOfFile(fldPath.Child("path"), it.Path)
	switch {
	case it.FieldRef != nil:
		errs = append(errs, container.FieldRef(fldPath.Child("fieldRef"), it.FieldRef, container.VolumeFields)...)
		if it.ResourceFieldRef != nil {
			errs = append(errs, field.Invalid(fldPath, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
		}
	case it.ResourceFieldRef != nil:
		errs = append(errs, container.ResourceFieldRef(fldPath.Child("resourceFieldRef"), it.ResourceFieldRef, true)...)
	default:
		errs = append(errs, field.Required(fldPath, "one of fieldRef and resourceFieldRef is required"))
	}
	return append(errs, optionalMode(fldPath.Child("mode"), it.Mode)...)
}

func downwardVolume(fldPath *field.Path, d *corev1.DownwardAPIVolumeSource) field.ErrorList {
	errs := optionalMode(fldPath.Child("defaultMode"), d.DefaultMode)
	for i := range d.Items {
		errs = append(errs, downwardFile(fldPath, &d.Items[i])...)
	}
	return errs
}

func csiVolume(fldPath *field.Path, c *corev1.CSIVolumeSource) field.ErrorList {
	errs := csiDriver(fldPath.Child("driver"), c.Driver)
	switch r := c.NodePublishSecretRef; {
	case r == nil:
	case r.Name == "":
		errs = append(errs, field.Required(fldPath.Child("nodePublishSecretRef", "name"), ""))
	default:
		errs = append(errs, check.Invalid(fldPath.Child("name"), r.Name, check.IsSubdomain(r.Name))...)
	}
	return errs
}

func ephemeralVolume(fldPath *field.Path, e *corev1.EphemeralVolumeSource) field.ErrorList {
	at, t := fldPath.Child("volumeClaimTemplate"), e.VolumeClaimTemplate
	if t == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	return append(TemplateMeta(at.Child("metadata"), &t.ObjectMeta), claimSpec(at.Child("spec"), &t.Spec, claimOptions{})...)
}

// TemplateMeta validates the metadata of a template for claims: labels and
// annotations, and nothing else. Upstream names fields by their Go names.
func TemplateMeta(fldPath *field.Path, m *metav1.ObjectMeta) field.ErrorList {
	errs := apivalidation.ValidateAnnotations(m.Annotations, fldPath.Child("annotations"))
	errs = append(errs, metavalidation.ValidateLabels(m.Labels, fldPath.Child("labels"))...)
	return append(errs, check.OnlyFields(fldPath, *m, "cannot be set", "Annotations", "Labels")...)
}

// csiDriver validates the name of a CSI driver.
func csiDriver(fldPath *field.Path, name string) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	var errs field.ErrorList
	if len(name) > maxCSIDriver {
		errs = append(errs, field.TooLong(fldPath, name, maxCSIDriver))
	}
	return append(errs, check.Invalid(fldPath, name, validation.IsDNS1123Subdomain(strings.ToLower(name)))...)
}
