package core

import "strings"

// internalTypes returns the text of an error of decoding with upstream's internal
// types in place of core/v1's.
func internalTypes(err error) string { return strings.ReplaceAll(err.Error(), "v1.", "core.") }
