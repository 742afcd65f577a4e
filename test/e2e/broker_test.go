//go:build e2e

package e2e

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// broker is the real Kafka behind the pipelines, as its administrator has it.
type broker struct {
	admin       *kafkago.Client
	secure      string // the address that asks for TLS and a password
	certificate []byte // PEM, vouches for it
}

// realBroker skips the test where only a stand-in serves the cluster.
func realBroker(t *testing.T) broker {
	t.Helper()
	plain, secure, file := os.Getenv("KAFKA_BOOTSTRAP"), os.Getenv("KAFKA_CLUSTER_SECURE_BOOTSTRAP"), os.Getenv("KAFKA_CERTIFICATE")
	if plain == "" || secure == "" || file == "" {
		t.Skip("KAFKA_BOOTSTRAP, KAFKA_CLUSTER_SECURE_BOOTSTRAP and KAFKA_CERTIFICATE name no broker")
	}
	certificate, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return broker{&kafkago.Client{Addr: kafkago.TCP(strings.Split(plain, ",")...)}, secure, certificate}
}

// user is a name and a password, by SCRAM-SHA-512.
type user struct{ name, password string }

// secret is what a Secret says of the user.
func (u user) secret() map[string][]byte {
	return map[string][]byte{"username": []byte(u.name), "password": []byte(u.password)}
}

// newUser makes a user, and waits until the broker knows it.
func (b broker) newUser(t *testing.T) user {
	t.Helper()
	const iterations = 4096
	u := user{"e2e-" + strings.ToLower(rand.Text()[:12]), rand.Text()}
	salt := []byte(rand.Text())
	salted, err := pbkdf2.Key(sha512.New, u.password, salt, iterations, sha512.Size)
	if err != nil {
		t.Fatal(err)
	}
	b.alterUsers(t, &kafkago.AlterUserScramCredentialsRequest{Upsertions: []kafkago.UserScramCredentialsUpsertion{{
		Name: u.name, Mechanism: kafkago.ScramMechanismSha512, Iterations: iterations, Salt: salt, SaltedPassword: salted,
	}}})
	await(t, time.Minute, "make a user of Kafka", func(ctx context.Context) error { return b.admits(ctx, u) })
	return u
}

// end takes everything from the user: the rights on the topic and on the group,
// which heir has from now on, and the password.
func (b broker) end(t *testing.T, u, heir user, topic, group string) {
	t.Helper()
	rule := func(resource kafkago.ResourceType, name string, permission kafkago.ACLPermissionType, u user) kafkago.ACLEntry {
		return kafkago.ACLEntry{
			ResourceType: resource, ResourceName: name, ResourcePatternType: kafkago.PatternTypeLiteral,
			Principal: "User:" + u.name, Host: "*", Operation: kafkago.ACLOperationTypeAll, PermissionType: permission,
		}
	}
	response, err := b.admin.CreateACLs(t.Context(), &kafkago.CreateACLsRequest{ACLs: []kafkago.ACLEntry{
		rule(kafkago.ResourceTypeTopic, topic, kafkago.ACLPermissionTypeAllow, heir),
		rule(kafkago.ResourceTypeGroup, group, kafkago.ACLPermissionTypeAllow, heir),
		rule(kafkago.ResourceTypeTopic, topic, kafkago.ACLPermissionTypeDeny, u),
		rule(kafkago.ResourceTypeGroup, group, kafkago.ACLPermissionTypeDeny, u),
	}})
	if err == nil {
		err = errors.Join(response.Errors...)
	}
	if err != nil {
		t.Fatalf("make rules: %v", err)
	}
	t.Cleanup(func() { b.forgetRules(t, topic, group) })
	b.alterUsers(t, &kafkago.AlterUserScramCredentialsRequest{Deletions: []kafkago.UserScramCredentialsDeletion{{
		Name: u.name, Mechanism: kafkago.ScramMechanismSha512,
	}}})
	await(t, time.Minute, "remove a user of Kafka", func(ctx context.Context) error {
		if err := b.admits(ctx, u); !errors.Is(err, kafkago.SASLAuthenticationFailed) {
			return errors.Join(errors.New("the removed user is not refused yet"), err)
		}
		return nil
	})
}

func (b broker) forgetRules(t *testing.T, names ...string) {
	request := &kafkago.DeleteACLsRequest{}
	for _, name := range names {
		request.Filters = append(request.Filters, kafkago.DeleteACLsFilter{
			ResourceTypeFilter: kafkago.ResourceTypeAny, ResourceNameFilter: name, ResourcePatternTypeFilter: kafkago.PatternTypeAny,
			Operation: kafkago.ACLOperationTypeAny, PermissionType: kafkago.ACLPermissionTypeAny,
		})
	}
	if _, err := b.admin.DeleteACLs(context.WithoutCancel(t.Context()), request); err != nil {
		t.Errorf("remove rules: %v", err)
	}
}

func (b broker) alterUsers(t *testing.T, request *kafkago.AlterUserScramCredentialsRequest) {
	t.Helper()
	response, err := b.admin.AlterUserScramCredentials(t.Context(), request)
	if err == nil {
		err = response.Results[0].Error
	}
	if err != nil {
		t.Fatalf("alter users of Kafka: %v", err)
	}
}

// admits makes a connection as the user.
func (b broker) admits(ctx context.Context, u user) error {
	mechanism, err := scram.Mechanism(scram.SHA512, u.name, u.password)
	if err != nil {
		return err
	}
	believed := x509.NewCertPool()
	believed.AppendCertsFromPEM(b.certificate)
	transport := &kafkago.Transport{TLS: &tls.Config{RootCAs: believed}, SASL: mechanism}
	defer transport.CloseIdleConnections()
	client := &kafkago.Client{Addr: kafkago.TCP(b.secure), Transport: transport, Timeout: 10 * time.Second}
	_, err = client.ApiVersions(ctx, &kafkago.ApiVersionsRequest{})
	return err
}

// awaitTopic waits until the topic is there, or is not.
func (b broker) awaitTopic(t *testing.T, name string, there bool) {
	t.Helper()
	await(t, time.Minute, "look for topic "+name, func(ctx context.Context) error {
		metadata, err := b.admin.Metadata(ctx, &kafkago.MetadataRequest{})
		if err != nil {
			return err
		}
		if found := slices.ContainsFunc(metadata.Topics, func(topic kafkago.Topic) bool { return topic.Name == name }); found != there {
			return errors.New("it is not as it should be")
		}
		return nil
	})
}

// deleteTopic cleans up what a pipeline has retained.
func (b broker) deleteTopic(t *testing.T, name string) {
	t.Helper()
	response, err := b.admin.DeleteTopics(t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{name}})
	if err == nil {
		err = response.Errors[name]
	}
	if err != nil {
		t.Errorf("delete topic %s: %v", name, err)
	}
}
