package main

import (
	"os"
	"testing"
)

// TestListIsThatOfKubernetes fails when go.mod has another version of Kubernetes
// than the list, which test/features then needs decisions about.
func TestListIsThatOfKubernetes(t *testing.T) {
	want, err := gates()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../apis/config/features/gates.csv")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("apis/config/features/gates.csv is not the list of this version: run make features")
	}
}
