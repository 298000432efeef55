// Command configuration writes docs/configuration.md: every field of the configuration
// file, from the Go comments of apis/config/v1alpha1.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: configuration DIR FILE")
		os.Exit(2)
	}
	text, err := document(os.Args[1])
	if err == nil {
		err = os.WriteFile(os.Args[2], []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
