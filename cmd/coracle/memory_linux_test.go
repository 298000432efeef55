package main

import (
	"os/user"
	"testing"
)

// TestDropText runs on after its code was dropped, libc's functions included:
// where there is cgo, looking up a user calls them.
func TestDropText(t *testing.T) {
	offsets, err := constantOffsets()
	if err != nil || len(offsets) == 0 {
		t.Fatalf("got %v, %v", offsets, err)
	}
	for range 3 {
		dropText()
		if _, err := user.LookupId("0"); err != nil {
			t.Error(err)
		}
	}
	// Grows the heap, which asks libc for memory in a program that uses it.
	for range 64 {
		if b := make([]byte, 4<<20); b[len(b)-1] != 0 {
			t.Fatal("new memory is not empty")
		}
	}
}
