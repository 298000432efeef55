//go:build !linux

package main

// dropText is for Linux alone.
func dropText() {}
