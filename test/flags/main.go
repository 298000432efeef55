// Command flags writes docs/kube-apiserver.md: what the program kube-apiserver does
// about each flag of upstream's.
package main

import (
	"fmt"
	"os"

	"github.com/coracle-k8s/coracle/cmd/coracle/kubeapiserver"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: flags FILE")
		os.Exit(2)
	}
	text, err := kubeapiserver.Document()
	if err == nil {
		err = os.WriteFile(os.Args[1], []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
