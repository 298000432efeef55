package runtime

import "strings"

// lastLines extracts the text of the last lines of a log in CRI format
// (time, stream, P or F, text), of which the first may be cut.
func lastLines(log string) string {
	var out strings.Builder
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	if len(lines) > maxMessageLogLines {
		lines = lines[len(lines)-maxMessageLogLines:]
	}
	for _, line := range lines {
		parts := strings.SplitN(line, " ", 4)
		if len(parts) < 4 {
			continue
		}
		out.WriteString(parts[3])
		if !strings.HasPrefix(parts[2], "P") {
			out.WriteByte('\n')
		}
	}
	text := out.String()
	if len(text) > maxMessageLogBytes {
		text = text[len(text)-maxMessageLogBytes:]
	}
	return text
}
