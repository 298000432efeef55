package env

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// parseEnvFile reads the format of fileKeyRef: NAME='literal value', one after
// the other, the value possibly over several lines; blank lines and lines that
// begin with # are skipped.
//
// Format: https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-via-file/
func parseEnvFile(r io.Reader, limit int64) (map[string]string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("the file is larger than %d bytes", limit)
	}
	vars := map[string]string{}
	rest := strings.ReplaceAll(string(raw), "\r\n", "\n")
	for rest != "" {
		line, after, _ := strings.Cut(rest, "\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			rest = after
			continue
		}
		name, value, ok := strings.Cut(rest, "=")
		if !ok || strings.ContainsAny(name, "\n") {
			return nil, fmt.Errorf("line %q is not of the form NAME='value'", line)
		}
		if !strings.HasPrefix(value, "'") {
			return nil, fmt.Errorf("the value of %s is not in single quotes", name)
		}
		literal, after, closed := strings.Cut(value[1:], "'")
		if !closed {
			return nil, errors.New("a single quote is not closed")
		}
		tail, after, _ := strings.Cut(after, "\n")
		if strings.TrimSpace(tail) != "" && !strings.HasPrefix(strings.TrimSpace(tail), "#") {
			return nil, fmt.Errorf("unexpected text after the value of %s", name)
		}
		vars[strings.TrimSpace(name)] = literal
		rest = after
	}
	return vars, nil
}
