// Command configuration writes docs/configuration.md and config/samples/cluster.yaml: every field
// of the configuration file, from the Go comments of apis/config/v1alpha1 and its defaults.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: configuration DIR DOCUMENT SAMPLE")
		os.Exit(2)
	}
	for i, render := range []func(string) (string, error){document, sample} {
		text, err := render(os.Args[1])
		if err == nil {
			err = os.WriteFile(os.Args[2+i], []byte(text), 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
