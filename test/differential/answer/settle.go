package answer

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// unordered lists come from walks over maps, or are sorted by times that differ.
var unordered = map[string]bool{"managedFields": true, "causes": true, "resourceRules": true, "nonResourceRules": true}

// settle puts into an order what has none: owners of fields, which are sorted by
// times that differ, and causes, which come from walks over maps.
func settle(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			list, ok := item.([]any)
			if ok && unordered[k] {
				order(list)
			}
			settle(item)
		}
	case []any:
		for _, item := range v {
			settle(item)
		}
	}
	return v
}

// order sorts by everything but times.
func order(list []any) {
	key := func(v any) string {
		o, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		timeless := map[string]any{}
		for k, item := range o {
			if k != "time" {
				timeless[k] = item
			}
		}
		data, _ := json.Marshal(timeless) // decoded from JSON
		return string(data)
	}
	slices.SortStableFunc(list, func(a, b any) int { return cmp.Compare(key(a), key(b)) })
}

// settled sorts the parts of a message that lists several errors, each on a line or all
// on one.
func settled(message string) string {
	if head, list, ok := strings.Cut(message, "errors:\n"); ok {
		lines := strings.Split(list, "\n")
		slices.Sort(lines)
		return head + "errors:\n" + strings.Join(lines, "\n")
	}
	head, list, ok := strings.Cut(message, ": [")
	if !ok && strings.HasPrefix(message, "[") {
		head, list, ok = "", message[1:], true
	}
	if !ok {
		return message
	}
	parts := strings.Split(strings.TrimSuffix(list, "]"), ", ")
	slices.Sort(parts)
	return head + ": [" + strings.Join(parts, ", ") + "]"
}

// Warnings returns warnings in the order of the answer, but those of unknown formats, which
// come from walks over maps, sorted.
func Warnings(texts []string) []any {
	format := func(text string) bool { return strings.Contains(text, "unrecognized format") }
	formats := slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return !format(text) })
	slices.Sort(formats)
	out := make([]any, len(texts))
	for i, text := range texts {
		if format(text) {
			text, formats = formats[0], formats[1:]
		}
		out[i] = text
	}
	return out
}

// owned sorts the words of a message that shows an object with its owners of fields,
// whose order depends on times; it returns others as they are.
func owned(message string) string {
	if !strings.Contains(message, "managedFields") {
		return message
	}
	words := strings.FieldsFunc(message, func(r rune) bool { return strings.ContainsRune("{}[],", r) })
	slices.Sort(words)
	return strings.Join(words, ",")
}
