//go:build !carry

package carried

import (
	"embed"
	"io/fs"
)

func files() fs.FS { return embed.FS{} }
