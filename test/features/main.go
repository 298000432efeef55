// Command features writes docs/features.md: what Coracle does about each of
// Kubernetes' feature gates, of the data in apis/config/features.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: features FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(file string) error {
	text, err := render()
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
