package main

import (
	"path/filepath"

	"github.com/logpipeline/logpipeline/bench/records"
)

// acknowledgement is what a contender's success means.
type acknowledgement string

const (
	inKafka  acknowledgement = "in Kafka"
	inMemory acknowledgement = "in memory"
	inSpool  acknowledgement = "in its spool"
	inFile   acknowledgement = "in a file"
)

// A contender is a program that takes records by HTTP, in one configuration.
type contender struct {
	name            string
	codec           string
	acknowledgement acknowledgement
	checks          bool // whether it refuses a record that isn't JSON

	program    string                      // in the folder of binaries
	config     string                      // template in configs, if it reads a file
	arguments  func(s setting) []string    // to run it
	path       string                      // of its URL
	media      string                      // Content-Type
	body       func(lines [][]byte) []byte // of a request
	perMessage int                         // records that one Kafka message holds
}

// setting is where a contender runs, and what its configuration is made of.
type setting struct {
	Dir, Config                  string
	Listen, Admin, Broker, Topic string
	Codec                        string
	Queued, Spool, Checked       bool
}

// file is where the one contender that has no Kafka writes.
func (s setting) file() string { return filepath.Join(s.Dir, "logs.ndjson") }

// early says that a success may come before the records are in Kafka.
func (c contender) early() bool { return c.acknowledgement == inMemory || c.acknowledgement == inSpool }

func (c contender) isOurs() bool { return c.program == oursProgram }

func (c contender) isPeer() bool { return c.program == "bento" || c.program == "otelcol" }

// inQuickLook says whether a quick run measures it.
func (c contender) inQuickLook() bool {
	return c.codec == "none" && (c.isOurs() || c.isPeer() && c.name != "Bento, checked" || c.name == "baseline checked")
}

const oursProgram = "ingester"

// contenders is everything that is compared, in the order of the table.
func contenders() []contender {
	var all []contender
	for _, codec := range []string{"none", "snappy", "zstd"} {
		all = append(all, ours("ours Produced", codec, inKafka))
	}
	all = append(all, asArray(ours("ours Produced, array", "none", inKafka)))
	for _, codec := range []string{"none", "snappy", "zstd"} {
		all = append(all, ours("ours Queued", codec, inMemory))
	}
	all = append(all,
		ours("ours Queued, spool", "none", inSpool),
		baseline("file", inFile, false, "none"),
		baseline("handler", inKafka, false, "none"),
		baseline("channel", inMemory, false, "none"),
	)
	for _, codec := range []string{"none", "snappy"} {
		all = append(all,
			baseline("checked", inKafka, true, codec),
			bento("Bento", false, codec),
			bento("Bento, checked", true, codec),
			collector("Collector", inKafka, codec),
			collector("Collector, queue", inMemory, codec),
		)
	}
	return all
}

func ours(name, codec string, a acknowledgement) contender {
	return contender{
		name: name, codec: codec, acknowledgement: a, checks: true,
		program: oursProgram, config: "ingester.yaml",
		arguments: func(s setting) []string { return []string{"serve", "--config", s.Config} },
		path:      "/logs", media: "application/x-ndjson", body: records.NDJSON, perMessage: 1,
	}
}

func asArray(c contender) contender {
	c.media, c.body = "application/json", records.Array
	return c
}

func baseline(design string, a acknowledgement, checks bool, codec string) contender {
	return contender{
		name: "baseline " + design, codec: codec, acknowledgement: a, checks: checks,
		program: "baseline",
		arguments: func(s setting) []string {
			return []string{design, "--listen", s.Listen, "--brokers", s.Broker, "--topic", s.Topic, "--file", s.file(), "--compression", s.Codec}
		},
		path: "/logs", media: "application/x-ndjson", body: records.NDJSON, perMessage: 1,
	}
}

func bento(name string, checks bool, codec string) contender {
	return contender{
		name: name, codec: codec, acknowledgement: inKafka, checks: checks,
		program: "bento", config: "bento.yaml",
		arguments: func(s setting) []string { return []string{"-c", s.Config} },
		path:      "/logs", media: "application/x-ndjson", body: records.Joined, perMessage: 1,
	}
}

func collector(name string, a acknowledgement, codec string) contender {
	return contender{
		name: name, codec: codec, acknowledgement: a, checks: true,
		program: "otelcol", config: "otelcol.yaml",
		arguments: func(s setting) []string { return []string{"--config", s.Config} },
		path:      "/v1/logs", media: "application/json", body: records.OTLP, perMessage: recordsPerRequest,
	}
}
