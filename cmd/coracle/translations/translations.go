// Package translations keeps kubectl's translations from being unpacked by every
// start of the program: kubectl's packages ask for the first translated word
// when they are initialized, which costs 12 ms and 4 MB, a fifth of a cluster's
// start. Only `coracle kubectl` needs them.
//
// Packages are initialized in the order of their paths once all that they import
// are, so this one is before those of kubectl that translate.
package translations

import (
	"os"
	"path/filepath"
	"slices"

	"k8s.io/kubectl/pkg/util/i18n"
)

// Deferred reports whether the library took the function below in time.
var Deferred = i18n.SetLoadTranslationsFunc(load) == nil

func load() error {
	if !wanted(os.Args) {
		return nil
	}
	return i18n.LoadTranslations("kubectl", nil)
}

// wanted reports whether the arguments call kubectl: by the program's name or as a command.
func wanted(args []string) bool {
	return len(args) > 0 && (filepath.Base(args[0]) == "kubectl" || slices.Contains(args[1:], "kubectl"))
}
