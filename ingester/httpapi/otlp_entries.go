package httpapi

import (
	"bytes"
	"unsafe"
)

// otlpEntry is one KeyValue of a map. The key is nil where it comes again.
type otlpEntry struct{ key, value []byte }

// otlpEntries is the entries of the maps that are being written, the innermost
// map's last.
type otlpEntries struct {
	stack []otlpEntry
	// index is the most bytes that an index of a large map has taken.
	index int
}

const (
	entryBytes = int(unsafe.Sizeof(otlpEntry{}))
	// fewEntries is how many keys are compared one by one.
	fewEntries = 64
	// indexBytes is what an index takes for an entry, measured as 29 to 58.
	indexBytes = 80
)

// pushEntries reads the entries of a map, in order. They are valid until they
// are popped.
func (w *otlpWriter) pushEntries(message []byte, tag uint64) []otlpEntry {
	e := &w.entries
	start := len(e.stack)
	for f := w.fields(message); f.next(); {
		if f.tag != tag {
			continue
		}
		if len(e.stack) == cap(e.stack) && !w.growEntries() {
			break
		}
		e.stack = append(e.stack, w.entry(f.bytes))
	}
	entries := e.stack[start:]
	if len(entries) > fewEntries {
		w.dropManyRepeated(entries, len(message))
	} else {
		dropFewRepeated(entries)
	}
	return entries
}

func (w *otlpWriter) popEntries(n int) {
	w.entries.stack = w.entries.stack[:len(w.entries.stack)-n]
}

func (w *otlpWriter) growEntries() bool {
	capacity := max(32, 2*cap(w.entries.stack))
	if !w.reserve(capacity * entryBytes) {
		return false
	}
	w.entries.stack = append(make([]otlpEntry, 0, capacity), w.entries.stack...)
	return true
}

// entry reads a KeyValue; the key is not nil.
func (w *otlpWriter) entry(message []byte) otlpEntry {
	e := otlpEntry{key: message[:0]}
	for f := w.fields(message); f.next(); {
		switch f.tag {
		case keyValueKey:
			e.key = f.bytes
		case keyValueValue:
			e.value = f.bytes
		}
	}
	return e
}

func dropFewRepeated(entries []otlpEntry) {
	for i := range entries {
		for _, later := range entries[i+1:] {
			if bytes.Equal(entries[i].key, later.key) {
				entries[i].key = nil
				break
			}
		}
	}
}

// dropManyRepeated does the same for a large map, of size bytes, in time that
// grows with the number of its entries alone. Its index is garbage afterwards,
// so the memory of the largest one is reserved for all.
func (w *otlpWriter) dropManyRepeated(entries []otlpEntry, size int) {
	if need := indexBytes*len(entries) + size; need > w.entries.index {
		if !w.reserve(need - w.entries.index) {
			return
		}
		w.entries.index = need
	}
	last := make(map[string]int, len(entries))
	for i, e := range entries {
		last[string(e.key)] = i
	}
	for i, e := range entries {
		if last[string(e.key)] != i {
			entries[i].key = nil
		}
	}
}
