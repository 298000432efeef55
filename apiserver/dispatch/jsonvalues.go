package dispatch

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Protobuf can carry values that JSON cannot: numbers-or-strings that are
// neither, raw JSON that is none. Such an object, once stored, could never be
// listed again, and the bookkeeping of fields panics over it. So what comes as
// protobuf is looked through for them.

// checkedCodecs decodes protobuf only if JSON could express it, and both only if
// they carry numbers as numbers.
type checkedCodecs struct {
	runtime.NegotiatedSerializer
	protobuf runtime.Serializer
	check    *jsonChecker
}

func newCheckedCodecs(codecs runtime.NegotiatedSerializer) runtime.NegotiatedSerializer {
	info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	if !ok {
		return codecs
	}
	return checkedCodecs{codecs, info.Serializer, &jsonChecker{}}
}

// DecoderToVersion implements runtime.NegotiatedSerializer.
func (c checkedCodecs) DecoderToVersion(d runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	decoder := checkedDecoder{Decoder: c.NegotiatedSerializer.DecoderToVersion(d, gv)}
	if d == runtime.Decoder(c.protobuf) {
		decoder.check = c.check
	}
	return decoder
}

type checkedDecoder struct {
	runtime.Decoder
	check *jsonChecker // nil for JSON
}

// Decode implements runtime.Decoder.
func (d checkedDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, gvk, err := d.Decoder.Decode(data, defaults, into)
	if obj == nil || err != nil && !runtime.IsStrictDecodingError(err) {
		return obj, gvk, err
	}
	wrong := carried(obj)
	if wrong == nil && d.check != nil {
		wrong = d.check.object(reflect.ValueOf(obj), "")
	}
	if wrong != nil {
		return nil, gvk, wrong
	}
	// Objects of the hub do not carry their kind: stored ones do not either.
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return obj, gvk, err
}

// jsonChecker remembers which types may hold what JSON cannot.
type jsonChecker struct{ types sync.Map } // reflect.Type to bool

func (s *jsonChecker) object(v reflect.Value, path string) error {
	if !v.IsValid() || !s.mayHoldRaw(v.Type()) {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return s.object(v.Elem(), path)
	case reflect.Slice:
		for i := range v.Len() {
			if err := s.object(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := s.object(it.Value(), fmt.Sprintf("%s[%s]", path, it.Key())); err != nil {
				return err
			}
		}
	case reflect.Struct:
		if wrong := notJSON(v.Interface()); wrong != "" {
			return fmt.Errorf("%s: %s", strings.TrimPrefix(path, "."), wrong)
		}
		return s.fields(v, path)
	}
	return nil
}

func (s *jsonChecker) fields(v reflect.Value, path string) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" {
			name = "." + name
		}
		if err := s.object(v.Field(i), path+name); err != nil {
			return err
		}
	}
	return nil
}

// notJSON returns what is wrong with a value that JSON cannot express.
func notJSON(value any) string {
	var raw []byte
	switch v := value.(type) {
	case intstr.IntOrString:
		if v.Type != intstr.Int && v.Type != intstr.String {
			return "neither a number nor a string"
		}
	case runtime.RawExtension:
		if raw = v.Raw; raw != nil && len(raw) == 0 {
			return "neither JSON nor nothing"
		}
	case apiextensionsv1.JSON:
		raw = v.Raw
	case metav1.FieldsV1:
		raw = (&v).GetRawBytes()
	}
	if len(raw) > 0 && !json.Valid(raw) {
		return "not JSON"
	}
	return ""
}

// mayHoldRaw reports whether a type contains one that notJSON checks.
func (s *jsonChecker) mayHoldRaw(t reflect.Type) bool {
	if known, ok := s.types.Load(t); ok {
		return known.(bool)
	}
	found := holdsRaw(t, map[reflect.Type]bool{})
	s.types.Store(t, found)
	return found
}

func holdsRaw(t reflect.Type, seen map[reflect.Type]bool) bool {
	switch t {
	case reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[runtime.RawExtension](), reflect.TypeFor[apiextensionsv1.JSON](), reflect.TypeFor[metav1.FieldsV1]():
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return holdsRaw(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() && holdsRaw(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
