//go:build race

package apiserver_test

// memoryFactor is how much more memory a process takes whose races are detected,
// which keeps several words for each word that is used.
const memoryFactor = 4
