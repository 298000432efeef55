package env

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/nodeagent"
)

// Expand replaces $(NAME) by what lookup says. A name unknown to lookup stays
// as it is written, $$ is a literal $ (so $$(NAME) is a literal $(NAME)), and
// any other $ stands for itself.
//
// Contract: https://github.com/kubernetes/design-proposals-archive/blob/main/node/expansion.md
func Expand(s string, lookup func(name string) (string, bool)) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		switch s[i+1] {
		case '$':
			out.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(s[i+2:], ')')
			if end < 0 {
				out.WriteByte('$')
				continue
			}
			reference := s[i : i+2+end+1]
			if value, known := lookup(reference[2 : len(reference)-1]); known {
				out.WriteString(value)
			} else {
				out.WriteString(reference)
			}
			i += len(reference) - 1
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}

// Command returns the container's command and args with references to its
// environment expanded.
func Command(c *corev1.Container, vars []nodeagent.EnvVar) (command, args []string) {
	lookup := lookupIn(vars)
	return expandAll(c.Command, lookup), expandAll(c.Args, lookup)
}

// SubPathExpr expands a volumeMount's subPathExpr; unlike in a command, an
// unknown name is an error: its literal would become a directory's name.
func SubPathExpr(expr string, vars []nodeagent.EnvVar) (string, error) {
	lookup := lookupIn(vars)
	var missing []string
	path := Expand(expr, func(name string) (string, bool) {
		value, known := lookup(name)
		if !known {
			missing = append(missing, name)
		}
		return value, known
	})
	if len(missing) > 0 {
		return "", &MissingKeysError{Keys: missing}
	}
	return path, nil
}

// MissingKeysError names the variables that a subPathExpr refers to and the
// container does not have.
type MissingKeysError struct{ Keys []string }

// Error implements error.
func (e *MissingKeysError) Error() string {
	return "missing value for " + strings.Join(e.Keys, ", ")
}

func lookupIn(vars []nodeagent.EnvVar) func(string) (string, bool) {
	byName := make(map[string]string, len(vars))
	for _, v := range vars {
		byName[v.Name] = v.Value
	}
	return func(name string) (string, bool) {
		value, known := byName[name]
		return value, known
	}
}

func expandAll(in []string, lookup func(string) (string, bool)) []string {
	if in == nil {
		return nil
	}
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = Expand(s, lookup)
	}
	return out
}
