package pod_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// filler sets every field below a value; each string is the path of its field,
// in JSON's names, with one element in every list and map.
type filler struct{ leaves map[string]string } // by path, the type of reference that the field is part of

func (f *filler) fill(v reflect.Value, path, within string) {
	switch v.Type() {
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[metav1.ObjectMeta](), reflect.TypeFor[metav1.FieldsV1](), reflect.TypeFor[resource.Quantity]():
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), path, within)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0), path+"[0]", within)
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			at, in := path+"."+name, refersBy(field.Type)
			if field.Anonymous {
				at = path
			}
			if field.Anonymous && in == "" || elem(field.Type).Kind() == reflect.String {
				in = within
			}
			f.fill(v.Field(i), at, in)
		}
	case reflect.String:
		v.SetString(path)
		f.leaves[path] = within
	}
}

// refersBy returns the name of a type whose name marks it as a reference to an object.
func refersBy(t reflect.Type) string {
	t = elem(t)
	if regexp.MustCompile(`(Reference|Ref|KeySelector|EnvSource|Projection)$`).MatchString(t.Name()) {
		return t.Name()
	}
	return ""
}

// elem returns the type that pointers and slices lead to.
func elem(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

// refers reports whether the field at the path looks like the name of an object.
func (f *filler) refers(path string) bool {
	last := path[strings.LastIndex(path, ".")+1:]
	return f.leaves[path] != "" || last != "name" && regexp.MustCompile(`(?i)(name|names|ref|reference|secret|configmap|account|claim|template|driver|class|endpoints|group|signer)(\[0\])?$`).MatchString(last)
}

// check fails for every field that looks like a reference and is neither
// reported nor an exception, and for every exception that is none.
func (f *filler) check(t *testing.T, reported map[string]bool, exceptions map[string]string) {
	t.Helper()
	used := map[string]bool{}
	for path := range f.leaves {
		reason := ""
		for pattern := range exceptions {
			if regexp.MustCompile(pattern + "$").MatchString(path) {
				reason, used[pattern] = pattern, true
			}
		}
		switch {
		case reported[path] && reason != "":
			t.Errorf("%s is reported and an exception (%s)", path, reason)
		case reported[path] && !f.refers(path):
			t.Errorf("%s is reported, and this test would not have missed it", path)
		case !reported[path] && reason == "" && f.refers(path):
			t.Errorf("%s looks like the name of an object (%s): report it in the walk, or say here why not", path, f.leaves[path])
		}
	}
	for pattern := range exceptions {
		if !used[pattern] {
			t.Errorf("no field is as the exception %s", pattern)
		}
	}
}

// fullPod has every field set, and claims of each kind.
func fullPod(f *filler) *corev1.Pod {
	p := &corev1.Pod{}
	p.Namespace, p.Name = "ns", "p"
	f.fill(reflect.ValueOf(&p.Spec).Elem(), "spec", "")
	f.fill(reflect.ValueOf(&p.Status).Elem(), "status", "")
	generated := p.Spec.ResourceClaims[0]
	generated.ResourceClaimName = nil
	p.Spec.ResourceClaims[0].ResourceClaimTemplateName = nil
	p.Spec.ResourceClaims = append(p.Spec.ResourceClaims, generated)
	p.Status.ResourceClaimStatuses[0].Name = generated.Name
	return p
}

// notReferences returns fields of pods with the look of a reference that the
// walk leaves out, with why.
func notReferences() map[string]string {
	const (
		ownParts  = "a part of the pod itself"
		machine   = "of the node or a storage system, no object of the API"
		admitted  = "resolved at admission; every node may read it"
		template  = "of the claim that is made of the template, and its references"
		scheduled = "written by the scheduler"
	)
	return map[string]string{
		`status\.qosClass`:                                     "no object",
		`\.resizePolicy\[0\]\.resourceName`:                    "a resource of the container",
		`\.requestMappings\[0\]\.(resourceName|requestName)`:   "parts of the pod and of the claim that is named beside them",
		`\.hostAliases\[0\]\.hostnames\[0\]`:                   "host names",
		`\.image\.imageRef`:                                    "an image",
		`\.gcePersistentDisk\.pdName`:                          machine,
		`\.sources\[0\]\.\w+\.(audience|path|keyType|\w+Path)`: "what is made of the object, or how",
		`spec\.serviceAccount`:                                 "the old name of serviceAccountName, with the same value",
		`spec\.nodeName`:                                       scheduled,
		`spec\.schedulerName`:                                  "a program",
		`spec\.priorityClassName`:                              admitted,
		`spec\.runtimeClassName`:                               admitted,
		`spec\.hostname|spec\.hostnameOverride`:                "a host name",
		`spec\.os\.name`:                                       machine,
		`\.(gmsaCredentialSpecName|runAsUserName)`:             machine,
		`status\.nominatedNodeName`:                            scheduled,
		`\.httpGet\.httpHeaders\[0\]\.name`:                    "a header",
		`\.targetContainerName`:                                ownParts,
		`\.containerName`:                                      ownParts,
		`\.(fileKeyRef|resourceFieldRef|fieldRef)\.\w+`:        ownParts,
		`\.(secretKeyRef|configMapKeyRef)\.key`:                "a key of the object",
		`\.image\.reference`:                                   "an image",
		`\.(flexVolume\.driver|scaleIO\.\w+|storageos\.volume\w+|portworxVolume\.\w+)`:                            machine,
		`\.(azureFile\.shareName|azureDisk\.diskName|photonPersistentDisk\.\w+|vsphereVolume\.storagePolicyName)`: machine,
		`\.(flocker\.datasetName|iscsi\.initiatorName|quobyte\.group)`:                                            machine,
		`\.ephemeral\.volumeClaimTemplate\.spec\..*`:                                                              template,
		`status\.nodeAllocatableResourceClaimStatuses\[0\]\.resourceClaimName`:                                    "claims that the spec names as well",
	}
}

func TestReferencesWalkEveryField(t *testing.T) {
	f := &filler{leaves: map[string]string{}}
	p := fullPod(f)
	reported := map[string]bool{}
	for r := range pod.References(p) {
		path := r.Path.String()
		switch {
		case r.Volume == "ephemeral":
			if r.Name != "p-"+p.Spec.Volumes[0].Name {
				t.Errorf("%s: %s", path, r.Name)
			}
		case strings.HasSuffix(path, ".serviceAccountToken"):
			if r.Name != p.Spec.ServiceAccountName {
				t.Errorf("%s: %s", path, r.Name)
			}
		case strings.Replace(path, "resourceClaims[1]", "resourceClaims[0]", 1) != r.Name:
			t.Errorf("%s is the path of %s", path, r.Name)
		}
		reported[r.Name] = true
	}
	f.check(t, reported, notReferences())
}

func TestVolumeSecretsWalkEveryField(t *testing.T) {
	f := &filler{leaves: map[string]string{}}
	v := &corev1.PersistentVolume{}
	f.fill(reflect.ValueOf(&v.Spec).Elem(), "spec", "")
	reported := map[string]bool{}
	for s := range pod.VolumeSecrets(v) {
		reported[s.Name] = true
		if s.Path.String() != s.Name {
			t.Errorf("%s is the path of %s", s.Path, s.Name)
		}
		if want := strings.Contains(s.Name, ".controller"); s.Controller != want {
			t.Errorf("%s: for the controller %v", s.Name, s.Controller)
		}
		if !strings.HasPrefix(s.Namespace, strings.TrimSuffix(s.Name, "ame")) || s.Namespace == s.Name {
			t.Errorf("%s has namespace %s", s.Name, s.Namespace)
		}
	}
	const machine = "of a storage system, no object of the API"
	f.check(t, reported, map[string]string{
		`spec\.claimRef\.\w+`:                                "the claim that the volume is bound to",
		`[sS]ecret\w*\.namespace|\.secretNamespace`:          "part of the reference",
		`storageos\.secretRef\.\w+[^e]`:                      "parts of an ObjectReference that say nothing",
		`spec\.(storageClassName|volumeAttributesClassName)`: "read by controllers",
		`glusterfs\.endpoints\w*`:                            "no secret; every node may get Endpoints",
		`\.gcePersistentDisk\.pdName`:                        machine,
		`\.(csi|flexVolume)\.driver`:                         machine,
		`scaleIO\.(gateway|system|protectionDomain|storagePool|storageMode|volumeName|fsType)`:               machine,
		`\.(storageos\.volume\w+|azureFile\.shareName|azureDisk\.diskName|vsphereVolume\.storagePolicyName)`: machine,
		`\.(flocker\.datasetName|iscsi\.initiatorName|quobyte\.group)`:                                       machine,
	})
}

// TestVolumeSecretNamespaces holds where a secret without a namespace is, by
// kind of volume: in the claim's namespace or nowhere.
func TestVolumeSecretNamespaces(t *testing.T) {
	ref := &corev1.SecretReference{Name: "s"}
	object := &corev1.ObjectReference{Name: "s"}
	for name, tc := range map[string]struct {
		source corev1.PersistentVolumeSource
		want   string
	}{
		"azureFile":       {corev1.PersistentVolumeSource{AzureFile: &corev1.AzureFilePersistentVolumeSource{SecretName: "s"}}, "claim/s"},
		"azureFile empty": {corev1.PersistentVolumeSource{AzureFile: &corev1.AzureFilePersistentVolumeSource{SecretName: "s", SecretNamespace: ptr.To("")}}, "claim/s"},
		"azureFile other": {corev1.PersistentVolumeSource{AzureFile: &corev1.AzureFilePersistentVolumeSource{SecretName: "s", SecretNamespace: ptr.To("o")}}, "o/s"},
		"cephfs":          {corev1.PersistentVolumeSource{CephFS: &corev1.CephFSPersistentVolumeSource{SecretRef: ref}}, "claim/s"},
		"cinder":          {corev1.PersistentVolumeSource{Cinder: &corev1.CinderPersistentVolumeSource{SecretRef: ref}}, "/s"},
		"flexVolume":      {corev1.PersistentVolumeSource{FlexVolume: &corev1.FlexPersistentVolumeSource{SecretRef: ref}}, "claim/s"},
		"rbd":             {corev1.PersistentVolumeSource{RBD: &corev1.RBDPersistentVolumeSource{SecretRef: ref}}, "claim/s"},
		"scaleIO":         {corev1.PersistentVolumeSource{ScaleIO: &corev1.ScaleIOPersistentVolumeSource{SecretRef: ref}}, "claim/s"},
		"iscsi":           {corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{SecretRef: ref}}, "claim/s"},
		"storageos":       {corev1.PersistentVolumeSource{StorageOS: &corev1.StorageOSPersistentVolumeSource{SecretRef: object}}, "/s"},
		"csi":             {corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{NodeStageSecretRef: ref}}, "/s"},
		"none":            {corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{}}, ""},
		"no name":         {corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{SecretRef: &corev1.SecretReference{}}}, ""},
	} {
		got := ""
		for s := range pod.VolumeSecrets(&corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Namespace: "claim"}, PersistentVolumeSource: tc.source}}) {
			got = s.Namespace + "/" + s.Name
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestReferencesStop ends the walk at every one of its references: nothing may
// be yielded after that.
func TestReferencesStop(t *testing.T) {
	p := fullPod(&filler{leaves: map[string]string{}})
	var all []string
	for r := range pod.References(p) {
		all = append(all, r.Path.String())
	}
	for n := range all {
		var some []string
		for r := range pod.References(p) {
			if some = append(some, r.Path.String()); len(some) == n+1 {
				break
			}
		}
		if !slices.Equal(some, all[:n+1]) {
			t.Errorf("stopped after %d: %v", n+1, some)
		}
	}
}

func TestClaimsOfAPod(t *testing.T) {
	p := &corev1.Pod{
		Spec: corev1.PodSpec{ResourceClaims: []corev1.PodResourceClaim{
			{Name: "own", ResourceClaimName: ptr.To("shared")}, {Name: "made", ResourceClaimTemplateName: ptr.To("t")},
			{Name: "pending", ResourceClaimTemplateName: ptr.To("t")}, {Name: "unneeded", ResourceClaimTemplateName: ptr.To("t")}, {Name: "neither"},
		}},
		Status: corev1.PodStatus{
			ResourceClaimStatuses: []corev1.PodResourceClaimStatus{
				{Name: "made", ResourceClaimName: ptr.To("p-made")}, {Name: "unneeded"}, {Name: "own", ResourceClaimName: ptr.To("other")},
				{Name: "unknown", ResourceClaimName: ptr.To("foreign")},
			},
			ExtendedResourceClaimStatus: &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "p-extended"},
		},
	}
	got := slices.Collect(pod.Names(p, pod.ResourceClaims))
	if d := cmp.Diff([]string{"shared", "p-made", "p-extended"}, got); d != "" {
		t.Error(d)
	}
}

func ExampleReferences() {
	p := &corev1.Pod{Spec: corev1.PodSpec{
		ServiceAccountName: "builder",
		Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{
			Driver: "d.example.com", NodePublishSecretRef: &corev1.LocalObjectReference{Name: "login"}}}}},
	}}
	for r := range pod.References(p) {
		fmt.Println(r.Kind, r.Name, r.Path)
	}
	// Output:
	// serviceaccounts builder spec.serviceAccountName
	// csidrivers d.example.com spec.volumes[0].csi.driver
	// secrets login spec.volumes[0].csi.nodePublishSecretRef.name
}
