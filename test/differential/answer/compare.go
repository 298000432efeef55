package answer

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Difference is one place in which two answers differ.
type Difference struct {
	// At is a path of fields, such as /status/phase, or "code" or "warnings".
	At string
	// Upstream and Ours are the values of upstream and of Coracle there, in
	// JSON; "" where there is none.
	Upstream, Ours string
}

// Comparison walks over two answers side by side.
type Comparison struct {
	symbols *Symbols
	// Differences are those found so far.
	Differences []Difference
	// prefix of a generated name, "" if the request asked for none.
	generated string
	// managed reports whether the object in hand has fields of several managers.
	managed bool
}

// Compare returns upstream's answer with symbols, and where Coracle's differs.
// generated is the prefix of a name that the request had generated.
func (s *Symbols) Compare(upstream, ours any, generated string) (any, []Difference) {
	c := &Comparison{symbols: s, generated: generated}
	out := c.walk("", settle(upstream), settle(ours))
	return out, c.Differences
}

// holder has the version of an object: itself, or what names it in an audit event.
var holder = regexp.MustCompile(`(^|/)(metadata|objectRef|preconditions)/resourceVersion$`)

// age is one in a table, which goes on between two answers.
var age = regexp.MustCompile(`^(\d+[smhdy])+$`)

func (c *Comparison) differ(at string, u, o any) {
	c.Differences = append(c.Differences, Difference{At: at, Upstream: text(u), Ours: text(o)})
}

// Absent marks a field that one of the answers has not.
type absent struct{}

func text(v any) string {
	if _, ok := v.(absent); ok {
		return ""
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

func (c *Comparison) walk(at string, u, o any) any {
	switch u := u.(type) {
	case Raw:
		if u == o {
			return string(u)
		}
	case map[string]any:
		if o, ok := o.(map[string]any); ok {
			return c.object(at, u, o)
		}
	case []any:
		if o, ok := o.([]any); ok {
			return c.list(at, u, o)
		}
	case string:
		if o, ok := o.(string); ok {
			return c.text(at, u, o)
		}
	default:
		if u == o {
			return u
		}
		if port, ok := c.port(at, u, o); ok {
			return port
		}
	}
	c.differ(at, u, o)
	return u
}

func (c *Comparison) object(at string, u, o map[string]any) any {
	keys := slices.Sorted(maps.Keys(u))
	managers, _ := u["managedFields"].([]any)
	for k := range o {
		if _, ok := u[k]; !ok {
			c.differ(at+"/"+k, absent{}, o[k])
		}
	}
	out := make(map[string]any, len(u))
	for _, k := range keys {
		other, ok := o[k]
		if !ok {
			c.differ(at+"/"+k, u[k], absent{})
			out[k] = u[k]
			continue
		}
		c.managed = len(managers) > 1
		out[k] = c.walk(at+"/"+k, u[k], other)
	}
	return out
}

func (c *Comparison) list(at string, u, o []any) any {
	if at == "/items" || at == "/rows" || at == "" {
		u, o = c.withoutRecorded(0, u), c.withoutRecorded(1, o)
	}
	if len(u) != len(o) {
		c.differ(at, u, o)
		return u
	}
	switch at {
	case "/items", "/rows":
		c.named(0, u)
		c.named(1, o)
	case "": // of a watch
		c.deleted(0, u)
		c.deleted(1, o)
	}
	out := make([]any, len(u))
	for i := range u {
		out[i] = c.walk(at+"/"+strconv.Itoa(i), u[i], o[i])
	}
	return out
}

// recorded is the name of an Event that a server's controller wrote, with a time.
var recorded = regexp.MustCompile(`\.18[0-9a-f]{14}$`)

// withoutRecorded drops Events of the servers' own controllers from a list or a watch.
func (c *Comparison) withoutRecorded(side int, list []any) []any {
	return slices.DeleteFunc(slices.Clone(list), func(v any) bool {
		o, _ := v.(map[string]any)
		object, isEvent := o["object"].(map[string]any)
		_, isRow := o["cells"]
		if isEvent && !isRow {
			return recorded.MatchString(c.name(side, object))
		}
		return recorded.MatchString(c.name(side, v))
	})
}

// named sorts the objects of a list by name, with symbols for those that servers
// complete: so their order is the same in both.
func (c *Comparison) named(side int, list []any) {
	slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(c.name(side, a), c.name(side, b)) })
}

// deleted sorts each run of deletions that a watch shows: of a collection they come in
// the order of names.
func (c *Comparison) deleted(side int, events []any) {
	object := func(v any) any {
		o, _ := v.(map[string]any)
		if o["type"] != "DELETED" {
			return nil
		}
		return o["object"]
	}
	for i := 0; i < len(events); {
		end := i + 1
		for object(events[i]) != nil && end < len(events) && object(events[end]) != nil {
			end++
		}
		slices.SortStableFunc(events[i:end], func(a, b any) int { return strings.Compare(c.name(side, object(a)), c.name(side, object(b))) })
		i = end
	}
}

// name returns the name of an object, of a row, or of a table's only row.
func (c *Comparison) name(side int, v any) string {
	o, _ := v.(map[string]any)
	if rows, ok := o["rows"].([]any); ok && len(rows) > 0 {
		o, _ = rows[0].(map[string]any)
	}
	if row, ok := o["object"].(map[string]any); ok {
		o = row
	}
	meta, _ := o["metadata"].(map[string]any)
	text, _ := meta["name"].(string)
	if cells, ok := o["cells"].([]any); ok && len(cells) > 0 && text == "" {
		text, _ = cells[0].(string)
	}
	return c.symbols.abstract(side, text)
}

// unchanged describes a write that changed an object on one side only. An object whose
// managers wrote within a second has them in the order of their names, and another one once
// their times differ: a write that changes nothing else is stored then.
func (c *Comparison) unchanged() string {
	if c.managed {
		return "resource version: changed or not, of several managers"
	}
	return "resource version: changed or not"
}

func (c *Comparison) text(at, u, o string) any {
	key := at[strings.LastIndexByte(at, '/')+1:]
	switch {
	case key == "resourceVersion" && holder.MatchString(at):
		if u == "" || o == "" {
			break
		}
		if u == o && strings.Contains(at, "/audit/") {
			return u // the client's own, which is no server's
		}
		sym, agree := c.symbols.version(Pair{u, o})
		if !agree {
			c.differ(at, c.unchanged(), u+" "+o)
		}
		return sym
	case u == o, strings.HasSuffix(at, "/status/token"):
		return u // tokens are signed with a time and a number by chance
	case age.MatchString(u) && age.MatchString(o) && strings.Contains(at, "/cells/"):
		return u
	case strings.HasSuffix(key, "name") && c.generated != "" && strings.HasPrefix(u, c.generated) && strings.HasPrefix(o, c.generated) && len(u) == len(o):
		return c.symbols.Name(c.generated, u, o)
	}
	if sym, ok := c.symbols.value(u, o); ok {
		return sym
	}
	if sym, ok := c.symbols.known[0]["v"+u]; ok && strings.Contains(at, "/requestObject/") && c.symbols.known[1]["v"+o] == sym {
		return sym // in an audit event of a patch a version may be anywhere
	}
	if stamp.FindString(u) == u && stamp.FindString(o) == o {
		c.differ(at, u, o) // of no server's clock
		return u
	}
	if settled(u) == settled(o) {
		return u
	}
	if a, b := c.symbols.abstract(0, u), c.symbols.abstract(1, o); settled(a) == settled(b) {
		return u
	}
	if c.generated != "" && c.completed(c.symbols.abstract(0, u)) == c.completed(c.symbols.abstract(1, o)) {
		return u
	}
	a, b := c.symbols.abstract(0, u), c.symbols.abstract(1, o)
	if owned(c.symbols.versions(0, a)) != owned(c.symbols.versions(1, b)) {
		c.differ(at, a, b)
	}
	return u
}

// completed replaces what the server added to the prefix of a name.
func (c *Comparison) completed(text string) string {
	return regexp.MustCompile(regexp.QuoteMeta(c.generated)+"[a-z0-9]{5}").ReplaceAllString(text, c.generated+"*")
}

// port returns the symbol of two allocated ports.
func (c *Comparison) port(at string, u, o any) (any, bool) {
	key := at[strings.LastIndexByte(at, '/')+1:]
	a, ok1 := u.(float64)
	b, ok2 := o.(float64)
	if !ok1 || !ok2 || a < 30000 || b < 30000 || a > 32767 || b > 32767 || key != "nodePort" && key != "healthCheckNodePort" {
		return nil, false
	}
	pair := Pair{"p" + strconv.Itoa(int(a)), "p" + strconv.Itoa(int(b))}
	c.symbols.n++
	n := 40000 + c.symbols.n%10000
	for side, v := range pair {
		c.symbols.known[side][v] = strconv.Itoa(n)
	}
	sym := fmt.Sprintf("%q:%d", key, n)
	c.symbols.values[sym] = Pair{fmt.Sprintf("%q:%d", key, int(a)), fmt.Sprintf("%q:%d", key, int(b))}
	return float64(n), true
}

// Raw is a string that is a symbol already.
type Raw string
