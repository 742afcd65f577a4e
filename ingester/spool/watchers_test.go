package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// watchers is a table of batches, as the HTTP side has one.
type watchers struct {
	mu    sync.Mutex
	asked []string
	told  map[string][]record.Outcome
}

func newWatchers() *watchers { return &watchers{told: map[string][]record.Outcome{}} }

func (w *watchers) recover(b *record.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, fmt.Sprint(b.ID, " ", b.Len()))
	b.Watcher = w.watcher(b.ID)
}

func (w *watchers) watcher(id string) record.Watcher { return watcher{w, id} }

type watcher struct {
	table *watchers
	id    string
}

func (w watcher) Settled(o record.Outcome) {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	w.table.told[w.id] = append(w.table.told[w.id], o)
}

func (w *watchers) recovered() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

func (w *watchers) outcomes() map[string][]record.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.told)
}

func crcOf(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli))
}
