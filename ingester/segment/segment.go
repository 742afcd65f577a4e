// Package segment stores the records of Kafka partitions in NDJSON files,
// each record exactly once, and proves it afterwards.
//
// # Layout
//
// The same in a directory and in an object store, where names are keys:
//
//	staging/                                                  data and links being written
//	chain/<topic>/<topic id>/<partition>/header               where the chain begins
//	chain/<topic>/<topic id>/<partition>/<base offset>        a link, 20 digits
//	chain/<topic>/<topic id>/<partition>/head                 where to begin walking, a hint
//	chain/<topic>/<topic id>/<partition>/milestone            the same, written more seldom
//	chain/<topic>/<topic id>/<partition>/removed/             how far retention has come
//	segments/dt=YYYY-MM-DD/hour=HH/<topic>-<partition>-<base offset>.ndjson[.gz|.zst]
//	rollups/<topic>/<topic id>/<partition>/<base offset>...   what is derived from a segment
//
// # Protocol
//
// The segments of a partition form a chain: each begins at the offset where
// the one before it ended.
//
//   - Stage: the data is made durable under a name that only its writer uses.
//   - Seal: the link is created under its name in the chain, which never
//     replaces a file: link(2) in a directory, a put with If-None-Match in an
//     object store. The name holds nothing but the base offset, so of all
//     writers that stand at that offset one wins.
//   - Publish: the data is moved to the path that the link names: rename, or a
//     copy by the server and the removal of what was copied. Whoever opens the
//     chain repeats that for its last link, so a writer may die at any step.
//
// Why every offset is stored once: a writer only ever seals at an offset that
// is the chain's end as it read it (the header's first offset, or the next
// offset of a link). If another writer has sealed there since, the create
// fails; the loser reads the winner's link, drops its own staged data and goes
// on from the winner's next offset. Hence links neither overlap nor leave a
// gap, whatever the number of writers, and no lock or lease is needed. Data is
// durable before its link is, and a link before anything is built on it.
//
// A store may report failure, or "exists", for a link that it did create (a
// retransmission on NFS and an SDK's retry do). So after any failure the link
// is read back, and the writer's token in it decides.
//
// Retention frees the places of old links again; boundary.go says why the chain
// stays exact all the same.
//
// # Offsets without records
//
// Control batches and compaction leave offsets without records. They belong
// to the segment that is open when they are met, and count as done. A link of
// 0 records, which has no data file, is sealed only when a chain is left while
// nothing but such offsets is pending: once Kafka's retention had removed
// them, their absence could not be told from loss.
package segment
