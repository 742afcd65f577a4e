package topics

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/test/await"
)

// secure is a connection to the real broker's listener that asks for TLS and a
// password.
func secure(t *testing.T) Connection {
	t.Helper()
	servers, file := os.Getenv("KAFKA_SECURE_BOOTSTRAP"), os.Getenv("KAFKA_CERTIFICATE")
	if servers == "" || file == "" {
		t.Skip("KAFKA_SECURE_BOOTSTRAP and KAFKA_CERTIFICATE name no broker")
	}
	certificate, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return Connection{
		BootstrapServers: strings.Split(servers, ","),
		TLS:              config.KafkaTLS{Enabled: true},
		SASL:             config.KafkaSASL{Mechanism: config.SASLPlain},
		Credentials:      kafka.Credentials{CA: certificate, Username: "pipeline", Password: "pipeline-secret"},
	}
}

// Every way to be refused has a reason, and a message that says what it means.
func TestConnectionsThatAreRefused(t *testing.T) {
	tests := map[string]struct {
		change func(t *testing.T, c *Connection)
		reason Reason
		says   string
	}{
		"wrong password": {
			func(_ *testing.T, c *Connection) { c.Credentials.Password = "wrong" },
			AuthenticationFailed, "check the name and password",
		},
		"unknown user": {
			func(_ *testing.T, c *Connection) { c.Credentials.Username = "nobody" },
			AuthenticationFailed, "check the name and password",
		},
		"unknown user of SCRAM": {
			func(_ *testing.T, c *Connection) {
				c.SASL.Mechanism, c.Credentials.Username = config.SASLScramSHA512, "nobody"
			},
			AuthenticationFailed, "check the name and password",
		},
		"no password": {
			func(_ *testing.T, c *Connection) { c.SASL = config.KafkaSASL{} },
			AuthenticationFailed, "ended the connection without an answer",
		},
		"plain text": {
			func(_ *testing.T, c *Connection) { c.TLS, c.SASL = config.KafkaTLS{}, config.KafkaSASL{} },
			AuthenticationFailed, "to plain text where they want TLS",
		},
		"TLS where they want plain text": {
			func(_ *testing.T, c *Connection) {
				c.BootstrapServers = strings.Split(os.Getenv("KAFKA_BOOTSTRAP"), ",")
			},
			AuthenticationFailed, "to TLS where they want plain text",
		},
		"authority of nobody": {
			func(_ *testing.T, c *Connection) { c.Credentials.CA = nil },
			CertificateRejected, "check the certificates",
		},
		"certificate for another name": {
			func(_ *testing.T, c *Connection) { c.TLS.ServerName = "elsewhere.example" },
			CertificateRejected, "check the certificates",
		},
		"nobody there": {
			func(_ *testing.T, c *Connection) { c.BootstrapServers = []string{"127.0.0.1:1"} },
			Unreachable, "check kafka.bootstrapServers",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			connection := secure(t)
			test.change(t, &connection)
			_, got, err := ensure(t, connectAs(t, connection), Desired{Name: "x"})
			if got.Reason != test.reason || err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %s: %v\nwant %s, which says %q", got.Reason, err, test.reason, test.says)
			}
		})
	}
}

// A right that is missing is named, with what it is missing on; with all of
// them the topic is made.
func TestRightsAreNamed(t *testing.T) {
	connection := secure(t)
	superuser := connectTo(t, strings.Split(os.Getenv("KAFKA_BOOTSTRAP"), ","))
	user := newUser(t, superuser, connection)
	name := newTopicName()
	t.Cleanup(func() { deleteLive(t, superuser, name) })
	allowed := func(operation kafkago.ACLOperationType) {
		allow(t, superuser, user.Credentials.Username, name, operation)
	}
	// The broker allows what no ACL is about: with one of somebody else, the
	// user has no right on the topic. To create and delete topics are also rights
	// on the cluster, which stay.
	allow(t, superuser, "somebody", name, kafkago.ACLOperationTypeRead)
	desired := Desired{Name: name}
	awaitRefusal(t, user, desired, "Describe")
	allowed(kafkago.ACLOperationTypeDescribe)
	awaitOutcome(t, user, desired, outcome{Reason: NotFound})
	desired.Managed, desired.Partitions = true, 1
	awaitOutcome(t, user, desired, outcome{Partitions: 1, ReplicationFactor: 1, Created: true})

	desired.Config = map[string]string{"retention.ms": "3600000"}
	awaitRefusal(t, user, desired, "DescribeConfigs")
	awaitOutcome(t, user, Desired{Name: name}, outcome{Partitions: 1, ReplicationFactor: 1})
	allowed(kafkago.ACLOperationTypeDescribeConfigs)
	awaitRefusal(t, user, desired, "AlterConfigs")
	allowed(kafkago.ACLOperationTypeAlterConfigs)
	awaitOutcome(t, user, desired, outcome{Partitions: 1, ReplicationFactor: 1})
	desired.Partitions = 2
	awaitRefusal(t, user, desired, "Alter")
	allowed(kafkago.ACLOperationTypeAlter)
	awaitOutcome(t, user, desired, outcome{Partitions: 2, ReplicationFactor: 1})

	cluster := connectAs(t, user)
	topic := mustEnsure(t, cluster, desired, outcome{Partitions: 2, ReplicationFactor: 1})
	if err := cluster.Delete(t.Context(), name, topic.Identity); err != nil {
		t.Error(err)
	}
}

// tryAnew asks with a client of its own, which remembers nothing.
func tryAnew(t *testing.T, connection Connection, desired Desired) (outcome, error) {
	t.Helper()
	pool := NewPool()
	defer pool.Close()
	_, got, err := ensure(t, mustConnect(t, pool, "test", connection), desired)
	return got, err
}

func awaitRefusal(t *testing.T, connection Connection, desired Desired, right string) {
	t.Helper()
	says := fmt.Sprintf("the right %s on topic %q", right, desired.Name)
	await.NoError(t, func() error {
		got, err := tryAnew(t, connection, desired)
		if got.Reason == NotAuthorized && strings.Contains(err.Error(), says) {
			return nil
		}
		return fmt.Errorf("want a refusal that says %q, have %s: %w", says, got.Reason, err)
	})
}

func awaitOutcome(t *testing.T, connection Connection, desired Desired, want outcome) {
	t.Helper()
	await.NoError(t, func() error {
		got, err := tryAnew(t, connection, desired)
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("%w, -want +got\n%s", err, diff)
		}
		return nil
	})
}

// newUser is a connection of a user who has no right yet.
func newUser(t *testing.T, superuser *Cluster, connection Connection) Connection {
	t.Helper()
	const iterations = 4096
	connection.SASL.Mechanism = config.SASLScramSHA512
	connection.Credentials.Username, connection.Credentials.Password = "user-"+uuid.NewString(), uuid.NewString()
	salt := []byte(uuid.NewString())
	salted, err := pbkdf2.Key(sha512.New, connection.Credentials.Password, salt, iterations, sha512.Size)
	if err != nil {
		t.Fatal(err)
	}
	response, err := superuser.admin.AlterUserScramCredentials(t.Context(), &kafkago.AlterUserScramCredentialsRequest{
		Upsertions: []kafkago.UserScramCredentialsUpsertion{{
			Name: connection.Credentials.Username, Mechanism: kafkago.ScramMechanismSha512,
			Iterations: iterations, Salt: salt, SaltedPassword: salted,
		}},
	})
	if err == nil {
		err = response.Results[0].Error
	}
	if err != nil {
		t.Fatal(err)
	}
	awaitOutcome(t, connection, Desired{Name: "no-such-topic"}, outcome{Reason: NotFound})
	return connection
}

// allow gives a user a right on a topic.
func allow(t *testing.T, superuser *Cluster, user, topic string, operation kafkago.ACLOperationType) {
	t.Helper()
	response, err := superuser.admin.CreateACLs(t.Context(), &kafkago.CreateACLsRequest{ACLs: []kafkago.ACLEntry{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, ResourcePatternType: kafkago.PatternTypeLiteral,
		Principal: "User:" + user, Host: "*", Operation: operation, PermissionType: kafkago.ACLPermissionTypeAllow,
	}}})
	if err == nil {
		err = response.Errors[0]
	}
	if err != nil {
		t.Fatal(err)
	}
}
