// Package follow reads configuration files again when they change.
//
// The API of this package is not stable: see docs/api.md.
package follow

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/apiserver/pkg/util/filesystem"
)

// period is the interval at which a file is looked at when the file system
// sends no events; upstream's.
const period = time.Minute

// File calls use with the content of path each time it is another one than before,
// until ctx is done; content is what is in force already. Content that use refuses
// is tried again after a while, because what it depends on may come. note is called
// with each content that was taken, and with each error, once while it lasts.
func File(ctx context.Context, path string, content []byte, use func([]byte) error, note func(taken []byte, err error)) {
	last := ""
	fail := func(err error) {
		if err != nil && err.Error() != last {
			last = err.Error()
			note(nil, fmt.Errorf("reading %s again: %w", path, err))
		}
	}
	look := func() {
		data, err := os.ReadFile(path)
		if err == nil && !bytes.Equal(data, content) {
			if err = use(data); err == nil {
				content = data
				note(data, nil)
			}
		}
		if err != nil {
			fail(err)
			return
		}
		last = ""
	}
	filesystem.WatchUntil(ctx, period, path, look, fail)
}
