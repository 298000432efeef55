//go:build race

package apiserver_test

// memoryFactor is the factor by which the race detector increases memory: it
// keeps several words for each word that is used.
const memoryFactor = 4
