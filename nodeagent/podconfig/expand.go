package podconfig

import "strings"

// Expand replaces $(NAME) by the variable's value. References to variables that
// do not exist stay as they are, and $$ is an escaped $. See
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/.
func Expand(s string, env map[string]string) string {
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
			name := s[i+2 : i+1+end]
			if value, ok := env[name]; ok {
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
