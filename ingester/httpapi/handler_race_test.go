//go:build race

package httpapi

// With the race detector sync.Pool drops some of what it is given.
const pooledAllocations = 3
