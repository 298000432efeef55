package env

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// envFileValue returns the value of key in a file of fileKeyRef's format, empty if
// it is not there: NAME='literal value', one after the other, the value possibly over
// several lines; blank lines and lines that begin with # are skipped. The first line
// of the key counts, and what follows it is not looked at. At most limit bytes are
// read.
//
// Format: https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-via-file/,
// pkg/kubelet/util/env/env_util.go
func envFileValue(r io.Reader, limit int64, key string) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", err
	}
	if int64(len(raw)) > limit {
		return "", fmt.Errorf("the file is larger than %d bytes", limit)
	}
	// Line ends are LF or CR LF.
	lines := strings.Split(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n")
	const space = " \t"
	for i := 0; i < len(lines); i++ {
		line := strings.TrimLeft(lines[i], space)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		switch {
		case !ok:
			return "", fmt.Errorf("invalid environment variable format at line %d: missing '='", i+1)
		case strings.TrimRight(name, space) == "":
			return "", fmt.Errorf("invalid environment variable format at line %d: empty variable name", i+1)
		case strings.TrimRight(name, space) != name:
			return "", fmt.Errorf("invalid environment variable format at line %d: whitespace before '=' is not allowed", i+1)
		case strings.TrimLeft(value, space) != value: // as in a shell: the variable is empty
			if name == key {
				return "", nil
			}
			continue
		case !strings.HasPrefix(value, "'"):
			return "", fmt.Errorf("invalid environment variable format at line %d: value must be enclosed in single quotes", i+1)
		}
		literal, last, err := quoted(lines, i, value[1:])
		if err != nil || name == key {
			return literal, err
		}
		i = last
	}
	return "", nil
}

// quoted returns the text from rest, in line first, up to the closing quote, and the
// line that has that.
func quoted(lines []string, first int, rest string) (literal string, last int, err error) {
	var text strings.Builder
	for last = first; ; last++ {
		before, after, closed := strings.Cut(rest, "'")
		text.WriteString(before)
		if closed {
			if after = strings.TrimLeft(after, " \t"); after != "" && !strings.HasPrefix(after, "#") {
				return "", 0, fmt.Errorf("invalid environment variable format at line %d: unexpected content after closing quote", last+1)
			}
			return text.String(), last, nil
		}
		if last+1 == len(lines) {
			return "", 0, fmt.Errorf("invalid environment variable format starting at line %d: unclosed single quote", first+1)
		}
		text.WriteByte('\n')
		rest = lines[last+1]
	}
}

// openRegular opens a file of a volume for reading. Containers may have put a pipe
// there, which would block the agent when it opens or reads it.
func openRegular(root *os.Root, path string) (*os.File, error) {
	file, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
