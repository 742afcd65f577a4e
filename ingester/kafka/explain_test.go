package kafka

import (
	"errors"
	"io"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipeline/logpipeline/ingester/config"
)

func TestListenerThatAsksForMoreIsHintedAt(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "pipeline", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	servers := map[string][]string{"SASL": cluster.ListenAddrs()}
	t.Run("real broker", func(t *testing.T) { servers["TLS and SASL"], _ = secureBroker(t) })
	for name, addresses := range servers {
		client := newClient(t, addresses)
		_, topicErr := client.Topic(t.Context(), "orders")
		_, err := client.Admin().Metadata(t.Context(), &kafkago.MetadataRequest{})
		for what, err := range map[string]error{"Topic": topicErr, "Admin": client.Explain(err)} {
			if err == nil || !strings.Contains(err.Error(), "its listener may ask for TLS or SASL") || strings.Contains(err.Error(), "(*Client)") {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if CredentialsRefused(err) || !ended(err) {
				t.Errorf("%s, %s: what it wraps is lost: %v", name, what, err)
			}
		}
	}
}

func TestHint(t *testing.T) {
	none, tls, sasl := config.Kafka{}, config.KafkaTLS{Enabled: true}, config.KafkaSASL{Mechanism: config.SASLPlain}
	for name, test := range map[string]struct {
		config   config.Kafka
		answered bool
		err      error
		says     string // "" where the error stays as it is
	}{
		"neither":             {config: none, err: io.ErrUnexpectedEOF, says: "may ask for TLS or SASL, and kafka.tls and kafka.sasl are not set"},
		"TLS only":            {config: config.Kafka{TLS: tls}, err: io.EOF, says: "may ask for SASL, and kafka.sasl is not set"},
		"SASL only":           {config: config.Kafka{SASL: sasl}, err: io.EOF, says: "may ask for TLS, and kafka.tls is not set, or not take the name and password"},
		"both":                {config: config.Kafka{TLS: tls, SASL: sasl}, err: io.EOF, says: "may not take the name and password"},
		"answered before":     {config: none, answered: true, err: io.EOF},
		"nobody listens":      {config: none, err: errors.New("connection refused")},
		"a broker's own code": {config: none, err: UnknownTopic},
	} {
		client := New(test.config)
		client.answered.Store(test.answered)
		got := client.hint(test.err)
		if !errors.Is(got, test.err) || test.says == "" && got.Error() != test.err.Error() || !strings.Contains(got.Error(), test.says) {
			t.Errorf("%s: %v, want %q in it", name, got, test.says)
		}
	}
	if err := New(none).Explain(nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}
