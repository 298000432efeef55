package storage_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"

	"github.com/coracle-k8s/coracle/apis/storage"
)

func meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, ResourceVersion: "1"} }

// check compares all messages.
func check(t *testing.T, name string, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
	}
}

func class(change func(*storagev1.StorageClass)) *storagev1.StorageClass {
	c := &storagev1.StorageClass{ObjectMeta: meta("c"), Provisioner: "example.com/p"}
	storage.SetDefaultsStorageClass(c)
	change(c)
	return c
}

func TestStorageClass(t *testing.T) {
	zones := func(values ...string) []corev1.TopologySelectorTerm {
		return []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "zone", Values: values}}}}
	}
	for _, c := range []struct {
		name   string
		change func(*storagev1.StorageClass)
		want   []string
	}{
		{"good", func(*storagev1.StorageClass) {}, nil},
		{"no provisioner", func(c *storagev1.StorageClass) { c.Provisioner = "" }, []string{"provisioner: Required value"}},
		{"recycle", func(c *storagev1.StorageClass) { c.ReclaimPolicy = ptr.To(corev1.PersistentVolumeReclaimRecycle) },
			[]string{`reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"`}},
		{"no values", func(c *storagev1.StorageClass) { c.AllowedTopologies = zones() }, []string{"allowedTopologies[0].matchLabelExpressions[0].values: Required value"}},
		{"twice", func(c *storagev1.StorageClass) { c.AllowedTopologies = append(zones("a"), zones("a")...) },
			[]string{`allowedTopologies[1].matchLabelExpressions: Duplicate value: ""`}},
		{"empty key", func(c *storagev1.StorageClass) { c.Parameters = map[string]string{"": "x"} }, []string{`parameters: Invalid value: "": field can not be empty.`}},
	} {
		check(t, c.name, storage.ValidateStorageClass(class(c.change)), c.want...)
	}
	changed := class(func(c *storagev1.StorageClass) { c.Provisioner, c.AllowVolumeExpansion = "other", ptr.To(true) })
	check(t, "update", storage.ValidateStorageClassUpdate(changed, class(func(*storagev1.StorageClass) {})), "provisioner: Invalid value: null: field is immutable")
}

func TestDefaultClass(t *testing.T) {
	at := func(name string, minute int, isDefault string) storagev1.StorageClass {
		c := storagev1.StorageClass{ObjectMeta: meta(name)}
		c.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC))
		c.Annotations = map[string]string{storage.DefaultClassAnnotation: isDefault}
		return c
	}
	if got := storage.DefaultClass([]storagev1.StorageClass{at("old", 1, "true"), at("b", 2, "true"), at("a", 2, "true"), at("no", 3, "false")}); got != "a" {
		t.Errorf("got %q", got)
	}
	if got := storage.DefaultClass([]storagev1.StorageClass{at("no", 3, "false")}); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestVolumeAttachment(t *testing.T) {
	attachment := func(s storagev1.VolumeAttachmentSource) *storagev1.VolumeAttachment {
		return &storagev1.VolumeAttachment{ObjectMeta: meta("a"), Spec: storagev1.VolumeAttachmentSpec{Attacher: "a.example", NodeName: "n", Source: s}}
	}
	check(t, "good", storage.ValidateVolumeAttachment(attachment(storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("pv")})))
	check(t, "none", storage.ValidateVolumeAttachment(attachment(storagev1.VolumeAttachmentSource{})),
		"spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName")
	inline := &corev1.PersistentVolumeSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: "c",
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d.example", VolumeHandle: "h"}}}
	check(t, "inline", storage.ValidateVolumeAttachment(attachment(storagev1.VolumeAttachmentSource{InlineVolumeSpec: inline})),
		"spec.source.inlineVolumeSpec.storageClassName: Forbidden: may not be specified in the context of inline volumes")
	a := attachment(storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("pv")})
	b := a.DeepCopy()
	b.Spec.NodeName = "m"
	if errs := storage.ValidateVolumeAttachmentUpdate(b, a); len(errs) != 1 || errs[0].Field != "spec" {
		t.Errorf("update: %v", errs)
	}
	a.Status.AttachError = &storagev1.VolumeError{Message: strings.Repeat("x", 1025), ErrorCode: ptr.To[int32](-1)}
	check(t, "error", storage.ValidateVolumeAttachment(a), "status.attachError.message: Too long: may not be more than 1024 bytes",
		"status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive")
}

func TestCSI(t *testing.T) {
	driver := &storagev1.CSIDriver{ObjectMeta: meta("d.example")}
	storage.SetDefaultsCSIDriver(driver)
	check(t, "driver", storage.ValidateCSIDriver(driver))
	bad := driver.DeepCopy()
	bad.Spec.TokenRequests = []storagev1.TokenRequest{{Audience: "a", ExpirationSeconds: ptr.To[int64](1)}, {Audience: "a"}}
	bad.Spec.AttachRequired = ptr.To(false)
	check(t, "driver changed", storage.ValidateCSIDriverUpdate(bad, driver),
		"spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
		`spec.tokenRequests[1].audience: Duplicate value: "a"`, "spec.attachedRequired: Invalid value: false: field is immutable")
	if w := storage.CSIDriverWarnings(bad, nil); len(w) != 1 {
		t.Errorf("warnings %v", w)
	}
	node := &storagev1.CSINode{ObjectMeta: meta("n"), Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: "d.example", NodeID: "1", TopologyKeys: []string{"zone"}}}}}
	check(t, "node", storage.ValidateCSINode(node))
	now := node.DeepCopy()
	now.Spec.Drivers[0].Allocatable = &storagev1.VolumeNodeResources{Count: ptr.To[int32](3)}
	check(t, "volumes of a node", storage.ValidateCSINodeUpdate(now, node))
	now.Spec.Drivers[0].NodeID = "2"
	if errs := storage.ValidateCSINodeUpdate(now, node); len(errs) != 1 || errs[0].Field != "spec.drivers" {
		t.Errorf("another ID: %v", errs)
	}
	capacity := &storagev1.CSIStorageCapacity{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default", ResourceVersion: "1"}, StorageClassName: "s", Capacity: resource.NewQuantity(-1, resource.DecimalSI)}
	check(t, "capacity", storage.ValidateCSIStorageCapacity(capacity), `capacity: Invalid value: "-1": must be greater than or equal to 0`)
	vac := &storagev1.VolumeAttributesClass{ObjectMeta: meta("v"), DriverName: "d.example"}
	check(t, "attributes", storage.ValidateVolumeAttributesClass(vac), "parameters: Required value: must contain at least one key/value pair")
	vac.Parameters = map[string]string{"iops": "1"}
	other := vac.DeepCopy()
	other.Parameters["iops"], other.DriverName = "2", "e.example"
	check(t, "attributes changed", storage.ValidateVolumeAttributesClassUpdate(other, vac),
		"driverName: Forbidden: updates to driverName are forbidden.", "parameters: Forbidden: updates to parameters are forbidden.")
}

func both[T any](f *randfill.Filler, defaults func(*T), create func(*T) field.ErrorList, update func(now, old *T) field.ErrorList) {
	a, b := new(T), new(T)
	f.Fill(a)
	f.Fill(b)
	create(a)
	update(a, b)
	if defaults != nil {
		defaults(a)
		create(a)
	}
}

// TestNoPanic validates noise.
func TestNoPanic(t *testing.T) {
	for seed := range int64(200) {
		f := randfill.NewWithSeed(seed).NilChance(0.4).NumElements(0, 3).MaxDepth(12).Funcs(
			func(q *resource.Quantity, c randfill.Continue) {
				*q = *resource.NewMilliQuantity(c.Int63()%5000-1000, resource.DecimalSI)
			},
			func(*metav1.FieldsV1, randfill.Continue) {})
		both(f, storage.SetDefaultsStorageClass, storage.ValidateStorageClass, storage.ValidateStorageClassUpdate)
		both(f, storage.SetDefaultsVolumeAttachment, storage.ValidateVolumeAttachment, storage.ValidateVolumeAttachmentUpdate)
		both(f, storage.SetDefaultsCSIDriver, storage.ValidateCSIDriver, storage.ValidateCSIDriverUpdate)
		both(f, nil, storage.ValidateCSINode, storage.ValidateCSINodeUpdate)
		both(f, nil, storage.ValidateCSIStorageCapacity, storage.ValidateCSIStorageCapacityUpdate)
		both(f, nil, storage.ValidateVolumeAttributesClass, storage.ValidateVolumeAttributesClassUpdate)
	}
}
