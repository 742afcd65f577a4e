//go:build !race

package httpapi

const pooledAllocations = 0
