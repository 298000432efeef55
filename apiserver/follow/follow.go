// Package follow reads configuration files again when they change.
package follow

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/apiserver/pkg/util/filesystem"
)

// period is how often a file is looked at when the file system tells nothing;
// upstream's.
const period = time.Minute

// File calls changed with the content of path each time it is another one than
// before, until ctx is done; content is what is in force already. What changed
// refuses is tried again after a while, because what it depends on may come.
// Errors are given to report, each once.
func File(ctx context.Context, path string, content []byte, changed func([]byte) error, report func(error)) {
	last := ""
	note := func(err error) {
		if err != nil && err.Error() != last {
			report(fmt.Errorf("reading %s again: %w", path, err))
		}
		last = ""
		if err != nil {
			last = err.Error()
		}
	}
	look := func() {
		data, err := os.ReadFile(path)
		if err != nil || bytes.Equal(data, content) {
			note(err)
			return
		}
		if err = changed(data); err == nil {
			content = data
		}
		note(err)
	}
	filesystem.WatchUntil(ctx, period, path, look, note)
}
