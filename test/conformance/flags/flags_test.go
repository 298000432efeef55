package main

import (
	"os"
	"testing"
)

// TestListIsThatOfKubernetes fails when go.mod has another version of Kubernetes
// than the list.
func TestListIsThatOfKubernetes(t *testing.T) {
	want, err := flags()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../cmd/coracle/kubeapiserver/flags.csv")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("flags.csv is not the list of this version: run make features")
	}
}
