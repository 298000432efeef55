package dispatch

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/coracle-k8s/coracle/apis"
)

func TestProtobufSaysNoMoreThanJSON(t *testing.T) {
	plain := serializer.NewCodecFactory(apis.NewScheme())
	codecs := newCheckedCodecs(plain)
	info, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	service := func(port intstr.IntOrString) runtime.Object {
		return &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}, {Port: 81, TargetPort: port}}}}
	}
	revision := func(data string) runtime.Object {
		return &appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: []byte(data)}}
	}
	def := &apiextensionsv1.CustomResourceDefinition{Spec: apiextensionsv1.CustomResourceDefinitionSpec{Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
		Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
			Properties: map[string]apiextensionsv1.JSONSchemaProps{"a": {Default: &apiextensionsv1.JSON{Raw: []byte("x")}}}}}}}}}
	managed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(`{"f:`)}}}}
	for name, c := range map[string]struct {
		obj  runtime.Object
		gv   schema.GroupVersion
		says string
	}{
		"a number":                      {service(intstr.FromInt32(80)), corev1.SchemeGroupVersion, ""},
		"a name":                        {service(intstr.FromString("http")), corev1.SchemeGroupVersion, ""},
		"neither":                       {service(intstr.IntOrString{Type: 7}), corev1.SchemeGroupVersion, "spec.ports[1].targetPort: neither a number nor a string"},
		"raw JSON":                      {revision(`{"a":1}`), appsv1.SchemeGroupVersion, ""},
		"raw text":                      {revision(`{"a"`), appsv1.SchemeGroupVersion, "data: not JSON"},
		"emptiness":                     {revision(""), appsv1.SchemeGroupVersion, "data: neither JSON nor nothing"},
		"a default in a nested schema":  {def, apiextensionsv1.SchemeGroupVersion, "spec.versions[0].schema.openAPIV3Schema.properties[a].default: not JSON"},
		"whose fields are not readable": {managed, corev1.SchemeGroupVersion, "metadata.managedFields[0].fieldsV1: not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := runtime.Encode(plain.EncoderForVersion(info.Serializer, c.gv), c.obj)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = codecs.DecoderToVersion(info.Serializer, c.gv).Decode(data, nil, nil)
			if got := message(err); got != c.says {
				t.Errorf("got %q, expected %q", got, c.says)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
