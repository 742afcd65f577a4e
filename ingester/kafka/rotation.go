package kafka

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/mounted"
)

// tryTimeout bounds how long the brokers are asked whether they take changed
// credentials: the time of two connections and some more.
const tryTimeout = 2*dialTimeout + 5*time.Second

// Open is New for a process that outlives its credentials: files keeps them up
// to date while it runs. Once they have changed, and a broker has taken them,
// every request goes out on a connection that was made with the new ones; the
// others are closed as soon as nobody waits for an answer on them, so that no
// request fails. A broker asks for credentials only when a connection is made:
// without this, a busy client would remain the old user until that one's
// rights are taken away.
//
// Files that can't be read, are empty or make no sense are an error. If they
// become so later, or no broker takes what they say, be it that they refuse it
// or that none can be asked, what they said before stays in use, and the new
// ones are tried again every few seconds: so the client finds its way whichever
// are good once the brokers are back.
func Open(cfg config.Kafka, files *mounted.Watcher, topics ...string) (*Client, error) {
	paths := credentialFiles(cfg)
	if len(paths) == 0 {
		return New(cfg, topics...), nil
	}
	var current atomic.Pointer[Credentials]
	client := NewWithCredentials(cfg, func() (Credentials, error) { return *current.Load(), nil }, topics...)
	_, err := mounted.OpenTried(files, "kafka", func(ctx context.Context, read []mounted.File) error {
		return credentialsOf(cfg, read).try(ctx, cfg)
	}, func(read []mounted.File) (struct{}, error) {
		c := credentialsOf(cfg, read)
		if err := c.check(cfg); err != nil {
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

// try makes a connection with the credentials. The error says why they are not
// to be used: mounted.ErrUndecided where no broker has said so.
func (c Credentials) try(ctx context.Context, cfg config.Kafka) error {
	if err := c.check(cfg); err != nil {
		return err
	}
	client := NewWithCredentials(cfg, func() (Credentials, error) { return c, nil }, []string{}...)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	_, err := client.Admin().ApiVersions(ctx, &kafkago.ApiVersionsRequest{})
	switch err = client.Explain(err); {
	case err == nil:
		return nil
	case CredentialsRefused(err):
		return fmt.Errorf("ask the brokers whether they take them: %w", err)
	default:
		return fmt.Errorf("ask the brokers whether they take them: %w: %w", mounted.ErrUndecided, err)
	}
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
