package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	changed := Default()
	changed.Topic = "logs.orders"
	changed.Queue.MaxBytes = 64 << 20
	changed.Segment = Segment{MaxBytes: 1_000_000, MaxAgeSeconds: 3, MaxOpenBytes: 1 << 30, Compression: CompressionZstd}
	inBucket := func(maxAge int) Config {
		c := Default()
		c.ObjectStore.URL, c.Segment.MaxAgeSeconds = "s3://bucket/logs", maxAge
		return c
	}
	withoutDelay := Default()
	withoutDelay.Drain.DelaySeconds = 0

	for name, tc := range map[string]struct {
		document string
		want     Config
	}{
		"an empty file is the defaults":       {"", Default()},
		"a comment alone is the defaults":     {"# nothing yet\n", Default()},
		"fields go over the defaults":         {"topic: logs.orders\nqueue: {maxBytes: 64Mi}\nsegment: {maxBytes: 1000000, maxAgeSeconds: 3, compression: zstd}\n", changed},
		"an object store has a later age":     {"objectStore: {url: \"s3://bucket/logs\"}\n", inBucket(60)},
		"but not over what is given":          {"objectStore: {url: \"s3://bucket/logs\"}\nsegment: {maxAgeSeconds: 5}\n", inBucket(5)},
		"an explicit zero is not the default": {"drain: {delaySeconds: 0}\n", withoutDelay},
		"version 0 is the current format":     {"version: 0\n", Default()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tc.document), Default())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tc.document, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ document, want string }{
		"a field that does not exist": {"queue: {maxByte: 1}", `unknown field "queue.maxByte": did you mean "queue.maxBytes"?`},
		"a newer format":              {"version: 2", "version is 2, but this release reads version 1"},
		"a field with another case":   {"queue: {maxbytes: 1}", `unknown field "queue.maxbytes": did you mean "queue.maxBytes"?`},
		"a field of another section":  {"maxBodyBytes: 1", `unknown field "maxBodyBytes": did you mean requestLimits.maxBodyBytes?`},
		"a field like none":           {"queue: {size: 1}", `unknown field "queue.size": queue has maxBytes`},
		"a size with a decimal unit":  {"queue: {maxBytes: 64MB}", `queue.maxBytes is "64MB": write a whole number of bytes`},
		"a negative size":             {"queue: {maxBytes: -1}", `queue.maxBytes is -1: write a whole number of bytes`},
		"a size that overflows":       {"queue: {maxBytes: 9999999Ti}", `queue.maxBytes is "9999999Ti"`},
		"one address, no list":        {"kafka: {bootstrapServers: kafka:9092}", `kafka.bootstrapServers is "kafka:9092": write a list, such as ["kafka:9092"]`},
		"a number in a list of texts": {"kafka: {bootstrapServers: [9092]}", `kafka.bootstrapServers[0] is 9092: write a text, in quotes`},
		"a number in quotes":          {`segment: {maxAgeSeconds: "10"}`, `segment.maxAgeSeconds is "10": write a whole number`},
		"a fraction":                  {"segment: {maxAgeSeconds: 1.5}", `segment.maxAgeSeconds is 1.5: write a whole number`},
		"a text for a truth":          {"kafka: {tls: {enabled: 'yes'}}", `kafka.tls.enabled is "yes": write true or false`},
		"a value for a section":       {"queue: 64Mi", `queue is "64Mi": write fields below it: maxBytes`},
		"no object at all":            {"[a]", `the document is ["a"]: write fields below it: acknowledge, `},
		"two mistakes":                {"queue: {maxBytes: x}\ntopics: a", "queue.maxBytes is \"x\": write a whole number of bytes, or one with Ki, Mi, Gi or Ti, such as \"64Mi\"\nunknown field \"topics\""},
		"a key that stands twice":     {"topic: a\ntopic: b", `key "topic" already set in map`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tc.document), Default())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Parse(%q) = %v, want an error with %q", tc.document, err, tc.want)
			}
		})
	}
}

func TestMarshalledConfigurationParsesToItself(t *testing.T) {
	want := Default()
	want.Topic = "logs"
	want.Kafka.BootstrapServers = []string{"kafka:9092"}
	document, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(document, Default())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after Marshal and Parse (-want +got):\n%s", diff)
	}
}

func TestValidate(t *testing.T) {
	valid := func(change func(*Config)) Config {
		c := Default()
		c.Topic = "logs"
		c.Kafka.BootstrapServers = []string{"kafka:9092"}
		if change != nil {
			change(&c)
		}
		return c
	}
	for name, tc := range map[string]struct {
		config Config
		role   Role
		want   []string // one error each, in order
	}{
		"serve with the defaults":   {valid(nil), RoleServe, nil},
		"consume with the defaults": {valid(nil), RoleConsume, nil},
		"standalone needs no brokers": {
			valid(func(c *Config) { c.Kafka.BootstrapServers = nil }), RoleStandalone, nil,
		},
		"direct needs no brokers either": {
			valid(func(c *Config) { c.Kafka.BootstrapServers = nil }), RoleDirect, nil,
		},
		"direct with a journal for less than two bodies": {
			valid(func(c *Config) { c.Direct.JournalMaxBytes = 20 << 20 }), RoleDirect,
			[]string{"direct.journalMaxBytes is 20971520: choose from 33554432 to"},
		},
		"direct with a weaker acknowledgement": {
			valid(func(c *Config) { c.Acknowledge = AcknowledgeQueued }), RoleDirect,
			[]string{"acknowledge is Queued, but the role direct answers once its journal has the records"},
		},
		"consume does not mind the intake's fields": {
			valid(func(c *Config) { c.Listen = "nonsense" }), RoleConsume, nil,
		},
		"no brokers": {
			valid(func(c *Config) { c.Kafka.BootstrapServers = nil }), RoleServe,
			[]string{"kafka.bootstrapServers has 0 addresses"},
		},
		"a broker without a port and one without a host": {
			valid(func(c *Config) { c.Kafka.BootstrapServers = []string{"kafka", ":9092"} }), RoleServe,
			[]string{`kafka.bootstrapServers[0] is "kafka"`, `kafka.bootstrapServers[1] is ":9092", which names no host`},
		},
		"TLS to the brokers, by files, without TLS": {
			valid(func(c *Config) { c.Kafka.TLS.CAFile = "ca.crt" }), RoleServe,
			[]string{"kafka.tls names files or a server, but kafka.tls.enabled is false"},
		},
		"a certificate for the brokers without its key": {
			valid(func(c *Config) { c.Kafka.TLS = KafkaTLS{Enabled: true, CertFile: "tls.crt"} }), RoleConsume,
			[]string{`kafka.tls.certFile is "tls.crt" and kafka.tls.keyFile is "": give both`},
		},
		"a name and a password for the brokers": {
			valid(func(c *Config) {
				c.Kafka.SASL = KafkaSASL{Mechanism: SASLScramSHA512, UsernameFile: "username", PasswordFile: "password"}
			}), RoleServe, nil,
		},
		"a mechanism without a password": {
			valid(func(c *Config) { c.Kafka.SASL = KafkaSASL{Mechanism: SASLPlain, UsernameFile: "username"} }), RoleServe,
			[]string{`kafka.sasl.usernameFile is "username" and kafka.sasl.passwordFile is "": give both`},
		},
		"a name and a password for no mechanism": {
			valid(func(c *Config) { c.Kafka.SASL = KafkaSASL{UsernameFile: "username", PasswordFile: "password"} }), RoleServe,
			[]string{"kafka.sasl.mechanism is empty: choose one of"},
		},
		"an unknown mechanism": {
			valid(func(c *Config) {
				c.Kafka.SASL = KafkaSASL{Mechanism: "GSSAPI", UsernameFile: "username", PasswordFile: "password"}
			}), RoleServe,
			[]string{`kafka.sasl.mechanism is "GSSAPI": choose one of`},
		},
		"no topic":               {valid(func(c *Config) { c.Topic = "" }), RoleConsume, []string{`topic is ""`}},
		"a topic that is a path": {valid(func(c *Config) { c.Topic = ".." }), RoleConsume, []string{`topic is ".."`}},
		"a topic with a slash":   {valid(func(c *Config) { c.Topic = "a/b" }), RoleConsume, []string{`topic is "a/b"`}},
		"a port out of range":    {valid(func(c *Config) { c.Listen = ":99999" }), RoleServe, []string{`listen is ":99999"`}},
		"a body that the queue can't hold": {
			valid(func(c *Config) { c.Queue.MaxBytes = 1 << 20 }), RoleServe,
			[]string{"requestLimits.maxBodyBytes is 16Mi, more than half of queue.maxBytes (1Mi)"},
		},
		"a record that no body can hold": {
			valid(func(c *Config) { c.RequestLimits.MaxRecordBytes = 32 << 20 }), RoleServe,
			[]string{"requestLimits.maxRecordBytes is 32Mi, more than requestLimits.maxBodyBytes (16Mi)"},
		},
		"bodies that are smaller than a record is by default": {
			valid(func(c *Config) { c.RequestLimits.MaxBodyBytes = 1 << 19 }), RoleServe, nil,
		},
		"a session that brokers refuse": {
			valid(func(c *Config) { c.Consumer.SessionTimeoutSeconds = 1 }), RoleConsume,
			[]string{"consumer.sessionTimeoutSeconds is 1: choose from 6 to 1800"},
		},
		"less memory for all fetches than for one": {
			valid(func(c *Config) { c.Consumer.FetchMaxTotalBytes = 1 << 20 }), RoleConsume,
			[]string{"consumer.fetchMaxTotalBytes is 1048576: choose from 4194304 to"},
		},
		"an instance id that is the host's name": {
			valid(func(c *Config) { c.Consumer.InstanceID = "orders-$HOSTNAME" }), RoleConsume, nil,
		},
		"an instance id that Kafka refuses": {
			valid(func(c *Config) { c.Consumer.InstanceID = "pod/1" }), RoleConsume,
			[]string{`consumer.instanceID is "pod/1": use up to 249 letters`},
		},
		"a policy of loss that there is not": {
			valid(func(c *Config) { c.Consumer.OnLoss = "Skip" }), RoleConsume,
			[]string{`consumer.onLoss is "Skip": choose one of ["Stop" "RecordGap"]`},
		},
		"dead letters among the living": {
			valid(func(c *Config) { c.DeadLetter.Topic = "logs" }), RoleConsume,
			[]string{`deadLetter.topic is "logs", as topic is`},
		},
		"a level of a codec that has none": {
			valid(func(c *Config) { c.Producer.Compression, c.Producer.CompressionLevel = CompressionSnappy, 3 }), RoleServe,
			[]string{"producer.compressionLevel is 3, but compression snappy has no levels: leave it out"},
		},
		"allowed names of certificates that are not accepted": {
			valid(func(c *Config) { c.Authentication.ClientCertificates.AllowedNames = []string{"a"} }), RoleServe,
			[]string{"authentication.clientCertificates.allowedNames has names, but accepted is false"},
		},
		"segments in a codec of Kafka's alone": {
			valid(func(c *Config) { c.Segment.Compression = CompressionLZ4 }), RoleConsume,
			[]string{`segment.compression is "lz4": choose one of ["none" "gzip" "zstd"]`},
		},
		"segments in a bucket": {
			valid(func(c *Config) { c.ObjectStore.URL = "s3://bucket/prefix?region=eu-central-1" }), RoleConsume, nil,
		},
		"segments in a directory by URL": {
			valid(func(c *Config) { c.ObjectStore.URL = "file:///data" }), RoleConsume,
			[]string{`objectStore.url is "file:///data": write s3://bucket/prefix`},
		},
		"segments too large to be copied": {
			valid(func(c *Config) { c.ObjectStore.URL = "gs://bucket"; c.Segment.MaxBytes = 5 << 30 }), RoleConsume,
			[]string{"segment.maxBytes is 5Gi"},
		},
		"several mistakes at once": {
			valid(func(c *Config) { c.Segment.MaxAgeSeconds = 0; c.DataDir = "" }), RoleConsume,
			[]string{"segment.maxAgeSeconds is 0: choose from 1 to 86400", "dataDir is empty"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			if err := tc.config.Validate(tc.role); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(tc.want) {
				t.Fatalf("Validate = %q, want %q", got, tc.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tc.want[i]) {
					t.Errorf("mistake %d is %q, want %q…", i, got[i], tc.want[i])
				}
			}
		})
	}
}

func TestBytesString(t *testing.T) {
	for want, b := range map[string]Bytes{"0": 0, "1": 1, "1000000": 1_000_000, "1Ki": 1 << 10, "64Mi": 64 << 20, "1536Mi": 1536 << 20, "2Gi": 2 << 30, "3Ti": 3 << 40} {
		if got := b.String(); got != want {
			t.Errorf("Bytes(%d).String() = %q, want %q", int64(b), got, want)
		}
		if back, err := ParseBytes(want); err != nil || back != b {
			t.Errorf("ParseBytes(%q) = %d, %v, want %d", want, back, err, b)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("topic: logs\nqueue: {maxBytes: 64Mi}\n"))
	f.Add([]byte("version: 1"))
	f.Fuzz(func(t *testing.T, document []byte) {
		c, err := Parse(document, Default())
		if err != nil {
			return
		}
		rendered, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(rendered, Default())
		if err != nil {
			t.Fatalf("parse what Marshal rendered: %v\n%s", err, rendered)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Errorf("after Marshal and Parse (-first +second):\n%s", diff)
		}
	})
}

func TestStaticID(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{"": "", "one": "one", "$HOSTNAME": host, "a.$HOSTNAME": "a." + host} {
		if got, err := (Consumer{InstanceID: given}).StaticID(); got != want || err != nil {
			t.Errorf("StaticID of %q is %q, %v, want %q", given, got, err, want)
		}
	}
}
