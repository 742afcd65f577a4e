// Package kill tests that consumers which are killed with SIGKILL under load,
// again and again, at any moment, lose no record and double none: several real
// ingester processes that all store the same topic of a real Kafka, in a
// directory and in an object store.
package kill
