package podconfig

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Expand replaces $(NAME) by the value that lookup returns. A name unknown to
// lookup stays as it is written, $$ is a literal $ (so $$(NAME) is a literal
// $(NAME)), and any other $ stands for itself. See
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/.
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
		switch end := strings.IndexByte(s[i+1:], ')'); {
		case s[i+1] == '$':
			out.WriteByte('$')
			i++
		case s[i+1] == '(' && end > 0:
			if value, ok := lookup(s[i+2 : i+1+end]); ok {
				out.WriteString(value)
			} else {
				out.WriteString(s[i : i+end+2])
			}
			i += end + 1
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}

// SubPath returns the path within the volume that a volumeMount of a container
// with that environment is of. Unlike in a command, a variable that is unknown or
// empty is an error: what is written would become the name of a directory, which
// other pods may have too.
func SubPath(m corev1.VolumeMount, env map[string]string) (string, error) {
	sub := m.SubPath
	if m.SubPathExpr != "" {
		var missing []string
		sub = Expand(m.SubPathExpr, func(name string) (string, bool) {
			value := env[name]
			if value == "" && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
			return value, true
		})
		if len(missing) > 0 {
			slices.Sort(missing)
			return "", errors.New("missing value for " + strings.Join(missing, ", "))
		}
	}
	switch {
	case path.IsAbs(sub):
		return "", fmt.Errorf("error SubPath `%s` must not be an absolute path", sub)
	case slices.Contains(strings.Split(sub, "/"), ".."):
		return "", fmt.Errorf("unable to provision SubPath `%s`: must not contain '..'", sub)
	}
	return sub, nil
}
