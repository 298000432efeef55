package dispatch

import (
	"bytes"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/coracle-k8s/coracle/apis"
)

// FuzzProtobuf decodes bodies in protobuf: what is taken can be written as JSON,
// which an object that is stored must be.
func FuzzProtobuf(f *testing.F) {
	plain := serializer.NewCodecFactory(apis.NewScheme())
	codecs := newCheckedCodecs(plain)
	info, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	text, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	for gv, objs := range map[schema.GroupVersion][]runtime.Object{
		corev1.SchemeGroupVersion: {
			&corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 81, TargetPort: intstr.IntOrString{Type: 7}}}}},
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(`{"f:a":{}}`)}}}, BinaryData: map[string][]byte{"a": {0xff}}},
			&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}}},
		},
		appsv1.SchemeGroupVersion: {&appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: []byte(`{"a":1}`)}}, &appsv1.Deployment{}},
	} {
		for _, obj := range objs {
			data, err := runtime.Encode(plain.EncoderForVersion(info.Serializer, gv), obj)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
			f.Add(data[:len(data)-3])
		}
	}
	f.Add([]byte("k8s\x00"))
	f.Add([]byte("k8s\x00\x0a\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		obj, gvk, err := codecs.DecoderToVersion(info.Serializer, runtime.InternalGroupVersioner).Decode(data, nil, nil)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := plain.EncoderForVersion(text.Serializer, gvk.GroupVersion()).Encode(obj, &out); err != nil {
			t.Errorf("took an object that cannot be written: %v\n%+v", err, obj)
		}
	})
}
