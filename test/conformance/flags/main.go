// Command flags writes the flags of the kube-apiserver in go.mod's version of Kubernetes
// as CSV. cmd/coracle/kubeapiserver of the main module has Coracle's decisions about them.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: flags FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(path string) error {
	text, err := flags()
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
