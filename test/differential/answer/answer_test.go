package answer

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func decode(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestCompare sends pairs of answers, one after the other, through one table of
// symbols. Each row has the places at which they differ.
func TestCompare(t *testing.T) {
	now := time.Date(2026, 11, 29, 23, 0, 0, 0, time.UTC)
	s := NewSymbols(now)
	for i, c := range []struct{ upstream, ours, generated, want string }{
		{`{"metadata":{"name":"gen-kgrvd","uid":"504b1405-6209-4fe8-85d0-211c5ac14071","resourceVersion":"447","creationTimestamp":"2026-11-29T23:25:41Z"}}`,
			`{"metadata":{"name":"gen-79xf4","uid":"987715e3-0f5d-4d5e-bd1b-ad0c3969a47a","resourceVersion":"440","creationTimestamp":"2026-11-29T23:25:42Z"}}`, "gen-", ""},
		{`{"message":"x \"gen-kgrvd\" is invalid: u459: field is immutable"}`, `{"message":"x \"gen-79xf4\" is invalid: u459: field is immutable"}`, "", ""},
		{`{"message":"[{\\\"resourceVersion\\\":\\\"447\\\",\\\"uid\\\":\\\"504b1405-6209-4fe8-85d0-211c5ac14071\\\"}]"}`, `{"message":"[{\\\"resourceVersion\\\":\\\"440\\\",\\\"uid\\\":\\\"987715e3-0f5d-4d5e-bd1b-ad0c3969a47a\\\"}]"}`, "", ""},
		{`{"metadata":{"resourceVersion":"447"}}`, `{"metadata":{"resourceVersion":"440"}}`, "", ""},
		{`{"message":"patch: Invalid value: \"map[metadata:map[x:447]]\""}`, `{"message":"patch: Invalid value: \"map[metadata:map[x:440]]\""}`, "", ""},
		{`{"message":"map[metadata:map[x:447]]"}`, `{"message":"map[metadata:map[x:441]]"}`, "", "/message"},
		{`{"message":"Invalid value: {\"unknown\":\"447\"}"}`, `{"message":"Invalid value: {\"unknown\":\"440\"}"}`, "", ""},
		{`{"metadata":{"resourceVersion":"448"}}`, `{"metadata":{"resourceVersion":"440"}}`, "", "/metadata/resourceVersion"},
		{`{"metadata":{"resourceVersion":"3"}}`, `{"metadata":{"resourceVersion":"2"}}`, "", ""},
		{`{"message":"{\\\"resourceVersion\\\":\\\"3.9.9.9\\\",\\\"uid\\\":\\\"504b1405-6209-4fe8-85d0-211c5ac14071\\\"}"}`, `{"message":"{\\\"resourceVersion\\\":\\\"3.9.9.9\\\",\\\"uid\\\":\\\"987715e3-0f5d-4d5e-bd1b-ad0c3969a47a\\\"}"}`, "", ""},
		{`{"audit":[{"requestObject":{"metadata":{"resourceVersion":"2"}}}]}`, `{"audit":[{"requestObject":{"metadata":{"resourceVersion":"2"}}}]}`, "", ""},
		{`{"audit":[{"objectRef":{"resourceVersion":"2"}}]}`, `{"audit":[{"objectRef":{"resourceVersion":"2"}}]}`, "", ""},
		{`{"spec":{"clusterIP":"10.0.3.4","ports":[{"nodePort":31000}]}}`, `{"spec":{"clusterIP":"10.0.9.4","ports":[{"nodePort":32000}]}}`, "", ""},
		{`{"spec":{"clusterIP":"10.0.3.4"}}`, `{"spec":{"clusterIP":"10.0.9.5"}}`, "", "/spec/clusterIP"},
		{`{"a":1,"b":[1]}`, `{"a":2,"b":[1,2]}`, "", "/a /b"},
		{`{"a":1}`, `{"b":1}`, "", "/b /a"},
		{`{"details":{"causes":[{"field":"a"},{"field":"b"}]},"message":"x: [a: no, b: no]"}`, `{"details":{"causes":[{"field":"b"},{"field":"a"}]},"message":"x: [b: no, a: no]"}`, "", ""},
		{`{"details":{"causes":[{"field":"a"}]}}`, `{"details":{"causes":[{"field":"a"},{"field":"a"}]}}`, "", "/details/causes"},
		{`{"items":[{"metadata":{"name":"gen-aaaaa"},"data":1},{"metadata":{"name":"gen-kgrvd"},"data":2}]}`, `{"items":[{"metadata":{"name":"gen-79xf4"},"data":2},{"metadata":{"name":"gen-aaaaa"},"data":1}]}`, "", ""},
		{`[{"type":"DELETED","object":{"metadata":{"name":"gen-aaaaa"},"data":1}},{"type":"DELETED","object":{"metadata":{"name":"gen-kgrvd"},"data":2}}]`,
			`[{"type":"DELETED","object":{"metadata":{"name":"gen-79xf4"},"data":2}},{"type":"DELETED","object":{"metadata":{"name":"gen-aaaaa"},"data":1}}]`, "", ""},
		{`[{"type":"ADDED","object":{"metadata":{"name":"a"}}},{"type":"ADDED","object":{"metadata":{"name":"b"}}}]`,
			`[{"type":"ADDED","object":{"metadata":{"name":"b"}}},{"type":"ADDED","object":{"metadata":{"name":"a"}}}]`, "", "/0/object/metadata/name /1/object/metadata/name"},
		{`{"message":"[a not found, b not found]"}`, `{"message":"[b not found, a not found]"}`, "", ""},
		{`{"message":"x: errors:\n  .b: no\n  .a: no"}`, `{"message":"x: errors:\n  .a: no\n  .b: no"}`, "", ""},
		{`{"message":"{\"managedFields\":[{\"manager\":\"a\"},{\"manager\":\"b\"}]}"}`, `{"message":"{\"managedFields\":[{\"manager\":\"b\"},{\"manager\":\"a\"}]}"}`, "", ""},
		{`{"items":[{"metadata":{"name":"s.18ecca0a17f99acd"}},{"metadata":{"name":"a"}}]}`, `{"items":[{"metadata":{"name":"a"}}]}`, "", ""},
		{`{"time":"2026-01-01T00:00:00Z"}`, `{"time":"2026-01-01T00:00:01Z"}`, "", "/time"},
	} {
		_, differences := s.Compare(decode(t, c.upstream), decode(t, c.ours), c.generated)
		got := ""
		for _, d := range differences {
			if got != "" {
				got += " "
			}
			got += d.At
		}
		if got != c.want {
			t.Errorf("%d: differ at %q, want %q: %v", i, got, c.want, differences)
		}
	}
}

func TestWarnings(t *testing.T) {
	one, two := `299 - "unrecognized format \"double\""`, `299 - "unrecognized format \"int64\""`
	if got := Warnings([]string{"b", two, "a", one}); !reflect.DeepEqual(got, []any{"b", one, "a", two}) {
		t.Errorf("got %v", got)
	}
}

// TestFor gives each server its own values of what both answered.
func TestFor(t *testing.T) {
	s := NewSymbols(time.Date(2026, 11, 29, 23, 0, 0, 0, time.UTC))
	const u = `{"metadata":{"creationTimestamp":"2026-11-29T23:25:41Z","name":"gen-kgrvd","resourceVersion":"447","uid":"504b1405-6209-4fe8-85d0-211c5ac14071"},"spec":{"clusterIP":"10.0.3.4","ports":[{"nodePort":31000}],"renewTime":"2026-11-29T23:25:41.123456Z"}}`
	const o = `{"metadata":{"creationTimestamp":"2026-11-29T23:25:42Z","name":"gen-79xf4","resourceVersion":"440","uid":"987715e3-0f5d-4d5e-bd1b-ad0c3969a47a"},"spec":{"clusterIP":"10.0.9.4","ports":[{"nodePort":32000}],"renewTime":"2026-11-29T23:25:42.654321Z"}}`
	out, differences := s.Compare(decode(t, u), decode(t, o), "gen-")
	if len(differences) > 0 {
		t.Fatal(differences)
	}
	data, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	for side, want := range []string{u, o} {
		if got := s.For(side, string(data)); got != want {
			t.Errorf("server %d gets %s, want %s\nof %s", side, got, want, data)
		}
	}
}
