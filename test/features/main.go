// Command features writes docs/features.md: what Coracle does about each of
// Kubernetes' feature gates. gates.csv lists the gates, as test/conformance/features
// writes them, decisions.txt what was decided.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: features DIRECTORY FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(dir, file string) error {
	text, err := render(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
