package httpapi

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// keyBytes bounds the claims that are settled: about 12,000 of them where
	// the keys are UUIDs.
	keyBytes = 4 << 20
	// claimOverhead is what a claim takes beside its key, in bytes, rounded
	// up. It is reserved in the queue while its batch is on its way.
	claimOverhead = 256
	// maxKeyBytes bounds an Idempotency-Key.
	maxKeyBytes = 256
)

// keys remembers the last requests that came with an Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header-07), so that a client's retry is
// answered as its first try was, and no record is taken twice.
type keys struct {
	seed maphash.Seed

	mu     sync.Mutex
	claims map[owned]*claim
	bytes  int64 // of settled claims
	// oldest and newest are the ends of the list of the settled claims.
	oldest, newest *claim
}

// owned is a key with the name of the client that it is good for, as far as
// clients have names; or, where the spool alone remembers the request, with the
// fingerprint of its records: whoever comes with both repeats it.
type owned struct {
	client, key string
	fingerprint uint64
}

// claim is a key's use by one request.
type claim struct {
	key         owned
	fingerprint uint64
	batch       string
	queued      bool // that is what its client was promised
	recovered   bool // by a process before this one
	// settled is closed when outcome is there. A claim that promises to
	// queue is settled when the batch is queued.
	settled chan struct{}
	outcome record.Outcome
	next    *claim
}

func newKeys() *keys { return &keys{seed: maphash.MakeSeed(), claims: map[owned]*claim{}} }

// fingerprint tells requests apart that come with the same key, by their
// records.
func (k *keys) fingerprint(b *record.Batch) uint64 {
	var hash maphash.Hash
	hash.SetSeed(k.seed)
	var size [8]byte
	for i := range b.Len() {
		text := b.Record(i)
		binary.LittleEndian.PutUint64(size[:], uint64(len(text)))
		_, _ = hash.Write(size[:])
		_, _ = hash.Write(text)
	}
	return hash.Sum64()
}

// claim claims the key for a batch, or returns the claim of an earlier request.
func (k *keys) claim(key owned, fingerprint uint64, batch string, queued bool) (c *claim, ours bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.claims[key]; c != nil {
		return c, false
	}
	if c := k.claims[owned{key: key.key, fingerprint: fingerprint}]; c != nil {
		return c, false
	}
	c = &claim{key: key, fingerprint: fingerprint, batch: batch, queued: queued, settled: make(chan struct{})}
	k.claims[key] = c
	return c, true
}

// recover claims a key for the batch of an earlier run, once or again, and
// returns a claim that is to be settled with what becomes of the batch; nil
// where that makes no difference. Nothing is reserved for such a claim, so that
// it counts, and may be forgotten, from now on.
func (k *keys) recover(key string, fingerprint uint64, batch string, queued bool) *claim {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := owned{key: key, fingerprint: fingerprint}
	c := k.claims[found]
	if c == nil {
		c = &claim{key: found, fingerprint: fingerprint, batch: batch, queued: queued, recovered: true, settled: make(chan struct{})}
		k.claims[found] = c
		if queued {
			close(c.settled)
		}
		k.keepLocked(c)
	}
	if c.batch != batch || queued {
		return nil
	}
	return c
}

// settle notes what became of the claim's batch. One of which nothing is in
// Kafka frees the key: the next request that comes with it is taken.
func (k *keys) settle(c *claim, o record.Outcome) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := c.bytes()
	c.outcome.Placements = slices.Clone(o.Placements)
	if o.Err != nil {
		c.outcome.Err = brief(o.Err)
	}
	close(c.settled)
	if k.claims[c.key] != c { // it was forgotten
		return
	}
	free := fateOf(o) == refused
	if free {
		delete(k.claims, c.key)
	}
	switch {
	case c.recovered:
		k.bytes += c.bytes() - before
		k.forgetLocked()
	case !free:
		k.keepLocked(c)
	}
}

// keepLocked counts a claim, and forgets older ones for it.
func (k *keys) keepLocked(c *claim) {
	if k.newest == nil {
		k.oldest = c
	} else {
		k.newest.next = c
	}
	k.newest = c
	k.bytes += c.bytes()
	k.forgetLocked()
}

// forgetLocked forgets the oldest settled claims until the bound is kept.
func (k *keys) forgetLocked() {
	for k.bytes > keyBytes && k.oldest != nil {
		c := k.oldest
		k.oldest = c.next
		if k.oldest == nil {
			k.newest = nil
		}
		k.bytes -= c.bytes()
		if k.claims[c.key] == c { // it may have been freed, and claimed again
			delete(k.claims, c.key)
		}
	}
}

func (c *claim) bytes() int64 {
	n := claimOverhead + int64(len(c.key.client)+len(c.key.key)) + placementBytes*int64(len(c.outcome.Placements))
	if c.outcome.Err != nil {
		n += int64(len(c.outcome.Err.Error()))
	}
	return n
}

// briefError is an error of which no more is kept than its text, which of the
// failures it is, and of which record.
type briefError struct {
	text string
	kind error
}

func (e *briefError) Error() string { return e.text }
func (e *briefError) Unwrap() error { return e.kind }

func brief(err error) error {
	kept := &briefError{text: shorten(err.Error(), detailReasonBytes), kind: failureOf(err).err}
	if fault := (*record.Fault)(nil); errors.As(err, &fault) {
		kept.kind = &record.Fault{Record: fault.Record, Err: kept.kind}
	}
	return kept
}
