//go:build carry

package carried

import (
	"embed"
	"io/fs"
)

//go:embed bin
var bin embed.FS

func files() fs.FS { return bin }
