package httpapi

import (
	"encoding/binary"
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
// clients have names.
type owned struct{ client, key string }

// claim is a key's use by one request.
type claim struct {
	key         owned
	fingerprint uint64
	batch       string
	// settled is closed when outcome is there. A claim that promises to
	// queue is settled when the batch is queued.
	settled chan struct{}
	outcome record.Outcome
	next    *claim
}

func newKeys() *keys { return &keys{seed: maphash.MakeSeed(), claims: map[owned]*claim{}} }

// fingerprint tells requests apart that come with the same key: by their
// records, and by the acknowledgement that they are to get.
func (k *keys) fingerprint(b *record.Batch, queued bool) uint64 {
	var hash maphash.Hash
	hash.SetSeed(k.seed)
	var size [8]byte
	for i := range b.Len() {
		text := b.Record(i)
		binary.LittleEndian.PutUint64(size[:], uint64(len(text)))
		_, _ = hash.Write(size[:])
		_, _ = hash.Write(text)
	}
	if queued {
		_ = hash.WriteByte(1)
	}
	return hash.Sum64()
}

// claim claims the key for a batch, or returns the claim of an earlier request.
func (k *keys) claim(key owned, fingerprint uint64, batch string) (c *claim, ours bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.claims[key]; c != nil {
		return c, false
	}
	c = &claim{key: key, fingerprint: fingerprint, batch: batch, settled: make(chan struct{})}
	k.claims[key] = c
	return c, true
}

// settle notes what became of the claim's batch. One of which nothing is in
// Kafka frees the key: the next request that comes with it is taken.
func (k *keys) settle(c *claim, o record.Outcome) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.outcome.Placements = slices.Clone(o.Placements)
	if o.Err != nil {
		c.outcome.Err = brief(o.Err)
	}
	close(c.settled)
	if fateOf(o) == refused {
		delete(k.claims, c.key)
		return
	}
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
		delete(k.claims, c.key)
	}
}

func (c *claim) bytes() int64 {
	n := claimOverhead + int64(len(c.key.client)+len(c.key.key)) + placementBytes*int64(len(c.outcome.Placements))
	if c.outcome.Err != nil {
		n += int64(len(c.outcome.Err.Error()))
	}
	return n
}

// briefError is an error of which no more is kept than its text and which of
// the package's errors it is.
type briefError struct {
	text string
	kind error
}

func (e *briefError) Error() string { return e.text }
func (e *briefError) Unwrap() error { return e.kind }

func brief(err error) error {
	return &briefError{text: shorten(err.Error(), detailReasonBytes), kind: failureOf(err).err}
}
