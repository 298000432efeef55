//go:build !linux

package nodestatus

import "errors"

// ReadMachine fails: pods run on Linux only.
func ReadMachine(string) (Machine, error) {
	return Machine{}, errors.New("reading the machine's resources: this is not Linux")
}
