// Command features writes the feature gates of the Kubernetes version in go.mod
// as CSV, which apis/config/features of the main module embeds.
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

func write(path string) error {
	text, err := gates()
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
