package core

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// internal is a value of core/v1 that an error shows as upstream does: upstream
// validates internal types, whose fields have no JSON names, so its messages have
// {"Key":"a"} where the API has {"key":"a"}, and null where it has nothing.
type internal struct{ value any }

// MarshalJSON implements json.Marshaler.
func (i internal) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	if err := writeInternal(&b, reflect.ValueOf(i.value)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func writeInternal(b *bytes.Buffer, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Invalid:
		b.WriteString("null")
		return nil
	case reflect.Pointer:
		return writeInternal(b, v.Elem())
	case reflect.Slice:
		if v.IsNil() {
			b.WriteString("null")
			return nil
		}
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeInternal(b, v.Index(i)); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case reflect.Struct:
		if v.Type().PkgPath() == reflect.TypeFor[corev1.Pod]().PkgPath() {
			b.WriteByte('{')
			err := writeFields(b, v, true)
			b.WriteByte('}')
			return err
		}
	}
	text, err := json.Marshal(v.Interface())
	b.Write(text)
	return err
}

// writeFields writes the fields of a struct, those of embedded ones among them.
func writeFields(b *bytes.Buffer, v reflect.Value, first bool) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !first {
			b.WriteByte(',')
		}
		first = false
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			if err := writeFields(b, v.Field(i), true); err != nil {
				return err
			}
			continue
		}
		b.WriteString(`"` + f.Name + `":`)
		if err := writeInternal(b, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// internalTypes is the text of an error of decoding, which names upstream's types.
func internalTypes(err error) string { return strings.ReplaceAll(err.Error(), "v1.", "core.") }
