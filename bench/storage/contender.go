package main

import "path/filepath"

// A contender is a program that stores the records of a topic, in one
// configuration.
type contender struct {
	name   string
	topic  string // codec of the record batches that it reads
	stored string // codec of what it writes
	kind   kind

	program   string                   // in the folder of binaries
	config    string                   // template in configs, if it reads a file
	arguments func(s setting) []string // to run it
	record    string                   // of which its output has one for each record
}

// kind is what a contender is compared as.
type kind string

const (
	ours     kind = "ours"
	peer     kind = "peer"
	baseline kind = "baseline"
)

// setting is where a contender runs, and what its configuration is made of.
type setting struct {
	Dir, Config         string
	Data                string // ours: chain and segments
	File                string // the others' output
	Admin, Broker       string // addresses
	Topic, Group, Codec string
}

// output is the folder below which all that a contender has stored is found.
// What ours has there is sealed and fsynced; nobody else fsyncs.
func (c contender) output(s setting) string {
	if c.kind == ours {
		return filepath.Join(s.Data, "segments")
	}
	return filepath.Dir(s.File)
}

const topicNone, topicLZ4 = "none", "lz4"

// contenders is everything that is compared, in the order of the table.
func contenders() []contender {
	var all []contender
	for _, topic := range []string{topicNone, topicLZ4} {
		all = append(all,
			ingester(topic, "none"),
			ingester(topic, "zstd"),
			another("Bento", peer, topic, "bento", "bento.yaml", "-c"),
			collector(topic),
			another("rsyslog", peer, topic, "rsyslogd", "rsyslog.conf", "-n", "-i", "NONE", "-f"),
		)
	}
	return append(all, consumers("kafka-go Reader", "reader"), consumers("reviewed design", "reviewed"))
}

func ingester(topic, stored string) contender {
	return contender{
		name: "ours", topic: topic, stored: stored, kind: ours, program: "ingester", config: "ingester.yaml", record: "\n",
		arguments: func(s setting) []string { return []string{"consume", "--config", s.Config} },
	}
}

// another takes its configuration as the last of its arguments.
func another(name string, as kind, topic, program, config string, arguments ...string) contender {
	return contender{
		name: name, topic: topic, stored: "none", kind: as, program: program, config: config, record: "\n",
		arguments: func(s setting) []string { return append(arguments[:len(arguments):len(arguments)], s.Config) },
	}
}

// collector writes OTLP in JSON, in which a record's own quotes are escaped.
func collector(topic string) contender {
	c := another("Collector", peer, topic, "otelcol", "otelcol.yaml", "--config")
	c.record = `"body":{"stringValue":`
	return c
}

func consumers(name, design string) contender {
	return contender{
		name: name, topic: topicNone, stored: "none", kind: baseline, program: "consumers", record: "\n",
		arguments: func(s setting) []string {
			return []string{design, "--brokers", s.Broker, "--topic", s.Topic, "--group", s.Group, "--file", s.File}
		},
	}
}

// inQuickLook says whether a quick run measures it.
func (c contender) inQuickLook() bool {
	return c.topic == topicNone && c.stored == "none" || c.kind == ours
}
