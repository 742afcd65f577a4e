package kafka

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha512"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// secureBroker is the listener of the real broker that asks for TLS and a
// password.
func secureBroker(t *testing.T) (servers []string, certificate string) {
	t.Helper()
	address, certificate := os.Getenv("KAFKA_SECURE_BOOTSTRAP"), os.Getenv("KAFKA_CERTIFICATE")
	if address == "" || certificate == "" {
		t.Skip("KAFKA_SECURE_BOOTSTRAP and KAFKA_CERTIFICATE name no broker")
	}
	return strings.Split(address, ","), certificate
}

// secured is a configuration whose user and password are in files of their own.
func secured(t *testing.T, servers []string, certificate string, mechanism config.SASLMechanism, user, password string) config.Kafka {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Kafka{
		BootstrapServers: servers, ClientID: "test",
		TLS:  config.KafkaTLS{Enabled: true, CAFile: certificate},
		SASL: config.KafkaSASL{Mechanism: mechanism, UsernameFile: filepath.Join(dir, "username"), PasswordFile: filepath.Join(dir, "password")},
	}
	write(t, cfg.SASL.UsernameFile, user+"\n")
	write(t, cfg.SASL.PasswordFile, password)
	return cfg
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ask makes one exchange on a connection of its own.
func ask(t *testing.T, cfg config.Kafka) error {
	t.Helper()
	client := New(cfg)
	defer client.Close()
	return askBy(t, client)
}

func askBy(t *testing.T, client *Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := client.Topic(ctx, "no-topic-"+uuid.NewString())
	if errors.Is(err, kafkago.UnknownTopicOrPartition) {
		return nil // the broker has answered
	}
	if err == nil {
		t.Error("a topic that is not there was found")
	}
	return err
}

func TestCredentials(t *testing.T) {
	servers, certificate := secureBroker(t)
	plainServers := strings.Split(os.Getenv("KAFKA_BOOTSTRAP"), ",")
	good := func() config.Kafka {
		return secured(t, servers, certificate, config.SASLPlain, "pipeline", "pipeline-secret")
	}
	other := filepath.Join(t.TempDir(), "other.pem")
	write(t, other, otherAuthority)
	tests := map[string]struct {
		change  func(*config.Kafka)
		refused bool
		says    string
	}{
		"as they should be":        {change: func(*config.Kafka) {}},
		"another password":         {func(c *config.Kafka) { write(t, c.SASL.PasswordFile, "guessed") }, true, "Authentication failed"},
		"a mechanism without user": {func(c *config.Kafka) { c.SASL.Mechanism = config.SASLScramSHA512 }, true, "SASL"},
		"no password file":         {func(c *config.Kafka) { c.SASL.PasswordFile += ".gone" }, false, "password.gone: no such file"},
		"another authority":        {func(c *config.Kafka) { c.TLS.CAFile = other }, true, "unknown authority"},
		"no certificate in file":   {func(c *config.Kafka) { c.TLS.CAFile = c.SASL.PasswordFile }, false, "kafka.tls.caFile"},
		"another server's name":    {func(c *config.Kafka) { c.TLS.ServerName = "kafka.example" }, true, "kafka.example"},
		"plain text to TLS":        {func(c *config.Kafka) { c.TLS = config.KafkaTLS{} }, false, ""},
		"TLS to plain text":        {func(c *config.Kafka) { c.BootstrapServers = plainServers }, false, "without TLS"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := good()
			test.change(&cfg)
			err := ask(t, cfg)
			if name == "as they should be" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || CredentialsRefused(err) != test.refused || !strings.Contains(err.Error(), test.says) {
				t.Errorf("refused %v, want %v: %v, want %q in it", CredentialsRefused(err), test.refused, err, test.says)
			}
		})
	}
}

// A password that changes reaches the next connection; those that are open go
// on.
func TestRotatedPassword(t *testing.T) {
	servers, certificate := secureBroker(t)
	plain := newClient(t, strings.Split(os.Getenv("KAFKA_BOOTSTRAP"), ","))
	user := "user-" + uuid.NewString()
	setPassword(t, plain, user, "before")
	cfg := secured(t, servers, certificate, config.SASLScramSHA512, user, "before")
	open := New(cfg)
	defer open.Close()
	if err := askBy(t, open); err != nil {
		t.Fatal(err)
	}

	setPassword(t, plain, user, "after")
	if err := ask(t, cfg); !CredentialsRefused(err) {
		t.Errorf("the old password: %v", err)
	}
	if err := askBy(t, open); err != nil {
		t.Errorf("the open connection: %v", err)
	}
	write(t, cfg.SASL.PasswordFile, "after\n")
	if err := ask(t, cfg); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

// setPassword makes or changes a SCRAM user, and waits until the brokers know.
func setPassword(t *testing.T, plain *Client, user, password string) {
	t.Helper()
	const iterations = 4096
	salt := []byte(uuid.NewString())
	salted, err := pbkdf2.Key(sha512.New, password, salt, iterations, sha512.Size)
	if err != nil {
		t.Fatal(err)
	}
	response, err := plain.Admin().AlterUserScramCredentials(t.Context(), &kafkago.AlterUserScramCredentialsRequest{
		Upsertions: []kafkago.UserScramCredentialsUpsertion{{
			Name: user, Mechanism: kafkago.ScramMechanismSha512, Iterations: iterations, Salt: salt,
			SaltedPassword: salted,
		}},
	})
	if err == nil {
		err = response.Results[0].Error
	}
	if err != nil {
		t.Fatal(err)
	}
	servers, certificate := secureBroker(t)
	known := secured(t, servers, certificate, config.SASLScramSHA512, user, password)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if err = ask(t, known); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestFileCredentials(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"ca", "cert", "key", "username", "password"} {
		write(t, path(name), name+"\r\n")
	}
	cfg := config.Kafka{
		TLS:  config.KafkaTLS{CAFile: path("ca"), CertFile: path("cert"), KeyFile: path("key")},
		SASL: config.KafkaSASL{UsernameFile: path("username"), PasswordFile: path("password")},
	}
	got, err := FileCredentials(cfg)()
	if err != nil {
		t.Fatal(err)
	}
	want := Credentials{CA: []byte("ca\r\n"), Cert: []byte("cert\r\n"), Key: []byte("key\r\n"), Username: "username", Password: "password"}
	if !bytes.Equal(got.CA, want.CA) || !bytes.Equal(got.Cert, want.Cert) || !bytes.Equal(got.Key, want.Key) ||
		got.Username != want.Username || got.Password != want.Password {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, err := FileCredentials(config.Kafka{})(); err != nil || got.CA != nil || got.Username != "" {
		t.Errorf("without files: %q, %v", got, err)
	}
}

// otherAuthority vouches for nobody; its key was never kept.
const otherAuthority = `-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIUcvMZSFuvgJrT2urUViuDN6df954wCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTIzMjEyMzM1WhgPMjEyNjEwMzAyMTIz
MzVaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
WyJ0e6YMMTHEuUAoZgAGMRxix9xEZE+cId+oLL8M8N/ZWDkDcvSG3mdTENZdXmRl
5UZzLBsGZFv6sRgo+iIZdKNTMFEwHQYDVR0OBBYEFEsvEfrOJTPmX7ecn/rBf/W7
SeaDMB8GA1UdIwQYMBaAFEsvEfrOJTPmX7ecn/rBf/W7SeaDMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAJJJP9y04pvTQRdqclS3ENn7Az8A7W8q
grZQDZuwyihHAiBZPQ28Fwa7WltPEw9xZwJWAFJGz9Rn7Q8nhn4JaNxThQ==
-----END CERTIFICATE-----`
