package kafka

import (
	"context"
	"fmt"
	"sync/atomic"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/mounted"
)

// Open is New for a process that outlives its credentials: files keeps them up
// to date while it runs. Once they have changed, every request goes out on a
// connection that was made with the new ones; the others are closed as soon as
// nobody waits for an answer on them, so that no request fails. A broker asks
// for credentials only when a connection is made: without this, a busy client
// would remain the old user until that one's rights are taken away.
//
// Files that can't be read or make no sense are an error; if they become so
// later, or if the brokers then refuse what they say, what they said before
// stays in use. The brokers are asked while ctx lasts.
func Open(ctx context.Context, cfg config.Kafka, files *mounted.Watcher, topics ...string) (*Client, error) {
	paths := credentialFiles(cfg)
	if len(paths) == 0 {
		return New(cfg, topics...), nil
	}
	var current atomic.Pointer[Credentials]
	client := NewWithCredentials(cfg, func() (Credentials, error) { return *current.Load(), nil }, topics...)
	_, err := mounted.Open(files, "kafka", func(read []mounted.File) (struct{}, error) {
		c := credentialsOf(cfg, read)
		err := c.check(cfg)
		if err == nil && current.Load() != nil {
			err = c.refused(ctx, cfg)
		}
		if err != nil {
			return struct{}{}, err
		}
		current.Store(&c)
		client.transport.CloseIdleConnections()
		return struct{}{}, nil
	}, paths...)
	if err != nil {
		return nil, fmt.Errorf("load the files of kafka.tls and kafka.sasl: %w", err)
	}
	return client, nil
}

// refused makes a connection, and returns why the brokers don't take the
// credentials; nil also where that could not be found out.
func (c Credentials) refused(ctx context.Context, cfg config.Kafka) error {
	client := NewWithCredentials(cfg, func() (Credentials, error) { return c, nil }, []string{}...)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := client.Admin().ApiVersions(ctx, &kafkago.ApiVersionsRequest{}); CredentialsRefused(err) {
		return fmt.Errorf("ask the brokers whether they take them: %w", err)
	}
	return nil
}

// check finds what no connection could be made with.
func (c Credentials) check(cfg config.Kafka) error {
	given := func() (Credentials, error) { return c, nil }
	if cfg.TLS.Enabled {
		if _, err := clientTLS(cfg.TLS, "any:0", given); err != nil {
			return err
		}
	}
	if cfg.SASL.Mechanism == "" {
		return nil
	}
	if c.Username == "" || c.Password == "" {
		return fmt.Errorf("read %s and %s: a name or a password is empty", cfg.SASL.UsernameFile, cfg.SASL.PasswordFile)
	}
	_, err := mechanismOf(cfg.SASL.Mechanism, c)
	return err
}
