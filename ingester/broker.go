package ingester

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// broker is the embedded Kafka.
type broker struct {
	*kfake.Cluster
	lock    *os.File
	address string // the file with its address
}

// startBroker starts the embedded Kafka on a loopback port of its own choice,
// which stands in the file address while it runs, for commands beside it.
// Every batch is fsynced before it is acknowledged. The directory is for one
// broker at a time: two would write into the same logs. The caller closes it.
func startBroker(dataDir, addressFile string) (*broker, error) {
	lock, err := lockDir(dataDir)
	if err != nil {
		return nil, fmt.Errorf("start the embedded Kafka in %s: %w", dataDir, err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dataDir), kfake.SyncWrites())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded Kafka in %s: %w", dataDir, err), lock.Close())
	}
	b := &broker{cluster, lock, addressFile}
	if err := os.WriteFile(b.address, []byte(cluster.ListenAddrs()[0]+"\n"), 0o644); err != nil {
		b.Close()
		return nil, fmt.Errorf("start the embedded Kafka in %s: %w", dataDir, err)
	}
	return b, nil
}

// Close stops the broker, and gives its directory free once all is written.
func (b *broker) Close() {
	_ = os.Remove(b.address) // what is left there names a port at which nobody answers
	b.Cluster.Close()
	_ = b.lock.Close() // nothing was written to it
}

// lockDir makes the directory if it is not there, and holds it until the file
// is closed or the process ends, however it does.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("another process runs on it: stop that, or choose another --data-dir")
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// createTopic makes the topic of the standalone role, unless a run before this
// one did.
func (p *process) createTopic(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := kafka.New(p.cfg.Kafka)
	defer client.Close()
	if _, err := client.Topic(ctx, p.cfg.Topic); !errors.Is(err, kafka.UnknownTopic) {
		return err
	}
	response, err := client.Admin().CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{
		Topic:             p.cfg.Topic,
		NumPartitions:     p.cfg.Standalone.Partitions,
		ReplicationFactor: 1,
		ConfigEntries: []kafkago.ConfigEntry{{
			ConfigName:  "max.message.bytes",
			ConfigValue: fmt.Sprint(p.cfg.TopicMaxMessageBytes()),
		}},
	}}})
	if err = client.Explain(err); err == nil {
		err = response.Errors[p.cfg.Topic]
	}
	if err != nil {
		return fmt.Errorf("create topic %q: %w", p.cfg.Topic, err)
	}
	return nil
}
