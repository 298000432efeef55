package check

import (
	"strings"
)

// InternalTypes returns the text of an error of decoding with upstream's internal
// types in place of core/v1's.
func InternalTypes(err error) string { return strings.ReplaceAll(err.Error(), "v1.", "core.") }
