//go:build !race

package apiserver_test

// memoryFactor is how much more memory a process takes than one that users run.
const memoryFactor = 1
