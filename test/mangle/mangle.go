// Package mangle makes bad API objects of good ones, for fuzz tests: it reads a
// list of edits from bytes, so that the same bytes give the same object and a
// fuzzer can grow them.
package mangle

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// edits of one object at most: more would leave nothing of it that is valid.
const edits = 8

// depth of one edit at most: schemas of definitions have no end.
const depth = 24

// Object changes obj, a pointer, in as many places as the bytes of choices
// last for. Strings become one of words or one of the package's own nasty ones.
func Object(obj any, choices []byte, words []string) {
	m := &mangler{choices: choices, words: append(nasty(), words...)}
	for range edits {
		if len(m.choices) == 0 {
			return
		}
		m.edit(reflect.ValueOf(obj).Elem(), 0)
	}
}

// Words returns the strings in the objects, each once.
func Words(objs ...any) []string {
	seen := map[string]bool{}
	for _, obj := range objs {
		collect(reflect.ValueOf(obj), seen)
	}
	var words []string
	for word := range seen {
		words = append(words, word)
	}
	slices.Sort(words)
	return words
}

func collect(v reflect.Value, seen map[string]bool) {
	switch v.Kind() {
	case reflect.String:
		seen[v.String()] = true
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			collect(v.Elem(), seen)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				collect(v.Field(i), seen)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			collect(v.Index(i), seen)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			collect(it.Key(), seen)
			collect(it.Value(), seen)
		}
	}
}

// nasty strings have broken parsers before.
func nasty() []string {
	return []string{
		"", " ", "a", "\x00", "\xff", "ü", "-", ".", "/", "..", "../..", "a/b/c", "*", "*.", "*.example.com", "%", "100%", "-1%", "{", "{{", "[", "(", "$(", "$(A)", "=", ",", "a=b", "!",
		"0", "-1", "+1", "1e9999", "99999999999999999999", "0x10", "1Gi", "1n", "0.0.0.0", "1.2.3.4", "1.2.3.4/33", "::", "::1/0", "::ffff:1.2.3.4", "10.0.0.0/8", "010.0.0.1", "fe80::1%eth0", "[::1]:80",
		"* * * * *", "@every 1s", "TZ= * * * * *", "CRON_TZ=UTC * * * * *", "TZ=", "0 0 31 2 *", "https://", "https://[::1", "unix:///x", "file:///x", "kubernetes.io/", "kubernetes.io/x", "/x", "x/", "a.b/c",
		"system:node:", "__internal", "v1", "v1alpha1", "true", "null", "In", "Exists", "Equal", "None", "Always", "True", "Unknown", "object", "object.x", "self[", "size(self) > 0", "'a'", "1/0", "device.driver", "has(", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		strings.Repeat("a", 64), strings.Repeat("a", 254), strings.Repeat("a.", 130), strings.Repeat("(", 300), strings.Repeat("x", 1<<16),
	}
}

type mangler struct {
	choices []byte
	words   []string
}

// next returns the next choice, 0 when there are no more.
func (m *mangler) next() int {
	if len(m.choices) == 0 {
		return 0
	}
	c := m.choices[0]
	m.choices = m.choices[1:]
	return int(c)
}

// edit walks down from v to the place where it changes something.
func (m *mangler) edit(v reflect.Value, level int) {
	if level > depth {
		return
	}
	if m.special(v) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if fields := exported(v); len(fields) > 0 {
			m.edit(v.Field(fields[m.next()%len(fields)]), level+1)
		}
	case reflect.Pointer:
		m.pointer(v, level)
	case reflect.Slice:
		m.slice(v, level)
	case reflect.Map:
		m.entry(v, level)
	case reflect.String:
		v.SetString(m.words[(m.next()<<8|m.next())%len(m.words)])
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		numbers := []int64{0, 1, -1, 2, 100, 101, 65535, 65536, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64, v.Int() + 1, v.Int() - 1}
		v.SetInt(numbers[m.next()%len(numbers)])
	case reflect.Float64:
		numbers := []float64{0, -1, 0.5, math.MaxFloat64, math.SmallestNonzeroFloat64}
		v.SetFloat(numbers[m.next()%len(numbers)])
	}
}

func exported(v reflect.Value) (fields []int) {
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && f.Type != reflect.TypeFor[metav1.TypeMeta]() {
			fields = append(fields, i)
		}
	}
	return fields
}

// special changes what has a form of its own.
func (m *mangler) special(v reflect.Value) bool {
	switch p := v.Addr().Interface().(type) {
	case *metav1.Time:
		p.Time = m.time()
	case *metav1.MicroTime:
		p.Time = m.time()
	case *resource.Quantity:
		texts := []string{"0", "1", "-1", "1n", "0.5", "100m", "1Ei", "9223372036854775807", "-9223372036854775808", "1e30", "99999999999999999999999", "1.0000000000001"}
		*p = resource.MustParse(texts[m.next()%len(texts)])
	case *runtime.RawExtension:
		texts := []string{"", "null", "{}", "[]", `"x"`, `{"a":{"b":[1]}}`, `{"apiVersion":"v1","kind":"Pod"}`}
		*p = runtime.RawExtension{Raw: []byte(texts[m.next()%len(texts)])}
	case *[]byte:
		*p = []byte(m.words[m.next()%len(m.words)])
	default:
		return false
	}
	return true
}

func (m *mangler) time() time.Time {
	times := []time.Time{{}, time.Unix(0, 0), time.Unix(1<<40, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)}
	return times[m.next()%len(times)]
}

func (m *mangler) pointer(v reflect.Value, level int) {
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
		if m.next()%4 == 1 {
			return // empty, but there
		}
	} else if m.next()%4 == 1 {
		v.SetZero()
		return
	}
	m.edit(v.Elem(), level+1)
}

func (m *mangler) slice(v reflect.Value, level int) {
	element := v.Type().Elem()
	action, n := m.next()%8, v.Len()
	switch {
	case action == 0:
		v.SetZero()
	case action == 1:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	case action == 2 || n == 0:
		v.Set(reflect.Append(v, reflect.Zero(element)))
		if action > 3 {
			m.edit(v.Index(n), level+1)
		}
	case action == 3:
		v.Set(reflect.Append(v, v.Index(m.next()%n)))
	default:
		m.edit(v.Index(m.next()%n), level+1)
	}
}

func (m *mangler) entry(v reflect.Value, level int) {
	t := v.Type()
	action := m.next() % 8
	if action == 0 {
		v.SetZero()
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(t))
	}
	key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
	if keys := v.MapKeys(); action > 3 && len(keys) > 0 {
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		key = keys[m.next()%len(keys)]
		value.Set(v.MapIndex(key))
	} else if action > 1 {
		m.edit(key, level+1)
	}
	m.edit(value, level+1)
	v.SetMapIndex(key, value)
}
