package hub

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// Internal returns v for the text of a validation error, as upstream writes an
// internal type there. Upstream's internal types have no JSON tags, so such an
// error names their fields as Go does and leaves none out:
//
//	spec.updateStrategy: Invalid value: {"Type":"Often","RollingUpdate":null}: must be …
//
// Types of apimachinery have tags upstream too and are written as ever. Errors of
// upstream's declarative validation name the fields of the version instead. A string
// is returned as it is: errors quote it as Go does, and not as JSON.
func Internal(v any) any {
	if text, ok := v.(string); ok {
		return text
	}
	return internal{v}
}

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
	if !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface || v.Kind() == reflect.Slice) && v.IsNil() {
		b.WriteString("null")
		return nil
	}
	switch {
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		return writeInternal(b, v.Elem())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
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
	case v.Kind() == reflect.Struct && strings.HasPrefix(v.Type().PkgPath(), "k8s.io/api/"):
		b.WriteByte('{')
		if err := writeFields(b, v); err != nil {
			return err
		}
		b.WriteByte('}')
		return nil
	}
	text, err := json.Marshal(v.Interface())
	b.Write(text)
	return err
}

// writeFields writes the fields of a struct, those of embedded ones in their place.
func writeFields(b *bytes.Buffer, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			if err := writeEmbedded(b, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		comma(b)
		b.WriteString(`"` + f.Name + `":`)
		if err := writeInternal(b, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func writeEmbedded(b *bytes.Buffer, v reflect.Value) error {
	if strings.HasPrefix(v.Type().PkgPath(), "k8s.io/api/") {
		return writeFields(b, v)
	}
	text, err := json.Marshal(v.Interface())
	if err != nil {
		return err
	}
	if fields := text[1 : len(text)-1]; len(fields) > 0 {
		comma(b)
		b.Write(fields)
	}
	return nil
}

func comma(b *bytes.Buffer) {
	if last := b.Bytes()[b.Len()-1]; last != '{' {
		b.WriteByte(',')
	}
}
