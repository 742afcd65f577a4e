package kafka

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/mounted"
	"github.com/logpipeline/logpipeline/test/await"
)

// What a user may no longer do fails on a connection that is open; once the
// files name another user, it is that one's, though the client was never idle.
func TestOpenConnectionsBecomeTheNewUsers(t *testing.T) {
	servers, certificate := secureBroker(t)
	plainServers := strings.Split(os.Getenv("KAFKA_BOOTSTRAP"), ",")
	plain, topic := newClient(t, plainServers), newTopic(t, plainServers)
	before, after := "user-"+uuid.NewString(), "user-"+uuid.NewString()
	setPassword(t, plain, before, "before")
	setPassword(t, plain, after, "after")
	cfg := secured(t, servers, certificate, config.SASLScramSHA512, before, "before")
	client := openWatched(t, cfg)
	await.NoError(t, client.describes(t, topic, nil))

	rule(t, plain, kafkago.ACLPermissionTypeDeny, before, topic)
	rule(t, plain, kafkago.ACLPermissionTypeAllow, after, topic) // without it nobody may, now that there is a rule
	await.NoError(t, client.describes(t, topic, kafkago.TopicAuthorizationFailed))
	write(t, cfg.SASL.UsernameFile, after)
	write(t, cfg.SASL.PasswordFile, "after")
	await.NoError(t, client.describes(t, topic, nil))

	// What makes no sense, and what the brokers refuse, stays out of use, also
	// for new connections.
	for _, bad := range []string{"", "guessed"} {
		failures := client.failures()
		write(t, cfg.SASL.PasswordFile, bad)
		await.NoError(t, func() error {
			if client.failures() == failures {
				return fmt.Errorf("password %q was not read yet", bad)
			}
			return nil
		})
		client.transport.CloseIdleConnections()
		if err := client.describes(t, topic, nil)(); err != nil {
			t.Errorf("with password %q in the file: %v", bad, err)
		}
	}
}

func TestOpenNeedsGoodFiles(t *testing.T) {
	cfg := secured(t, []string{"127.0.0.1:1"}, "", config.SASLPlain, "somebody", "")
	_, err := Open(t.Context(), cfg, mounted.New(slog.New(slog.DiscardHandler), prometheus.NewRegistry()))
	if err == nil || !strings.Contains(err.Error(), cfg.SASL.PasswordFile) {
		t.Errorf("%v, want it to name %s", err, cfg.SASL.PasswordFile)
	}
}

type watched struct {
	*Client
	registry *prometheus.Registry
}

// openWatched opens a client whose files are watched until the test ends.
func openWatched(t *testing.T, cfg config.Kafka) watched {
	t.Helper()
	registry := prometheus.NewRegistry()
	files := mounted.New(slog.New(slog.NewTextHandler(io.Discard, nil)), registry)
	client, err := Open(t.Context(), cfg, files)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { files.Run(t.Context()) })
	t.Cleanup(func() { running.Wait(); client.Close() })
	return watched{client, registry}
}

// describes checks what comes of asking for the topic.
func (w watched) describes(t *testing.T, topic string, want error) func() error {
	return func() error {
		if _, err := w.Topic(t.Context(), topic); !errors.Is(err, want) {
			return errors.Join(errors.New("unexpected outcome"), err)
		}
		return nil
	}
}

func (w watched) failures() (count float64) {
	families, _ := w.registry.Gather()
	for _, family := range families {
		if family.GetName() == "logpipeline_ingester_mounted_reload_failures_total" {
			count += family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return count
}

// rule says what a user may do with a topic: all, or nothing.
func rule(t *testing.T, plain *Client, permission kafkago.ACLPermissionType, user, topic string) {
	t.Helper()
	response, err := plain.Admin().CreateACLs(t.Context(), &kafkago.CreateACLsRequest{ACLs: []kafkago.ACLEntry{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, ResourcePatternType: kafkago.PatternTypeLiteral,
		Principal: "User:" + user, Host: "*", Operation: kafkago.ACLOperationTypeAll, PermissionType: permission,
	}}})
	if err == nil {
		err = errors.Join(response.Errors...)
	}
	if err != nil {
		t.Fatal(err)
	}
}
