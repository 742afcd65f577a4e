// Package scaling tells how much load the pipelines have, in a form that an
// autoscaler can follow: what the ingesters' queues hold, how many records the
// consumers are behind, and how many consumers it takes. It asks the pods and
// the brokers, and knows nothing of Kubernetes.
//
// Every value is a total, proportional to the number of pods that are wanted
// and independent of how many there are, so that it may be read late, or again,
// without harm. What is not known is an error, and never 0.
package scaling

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// Target is a pipeline whose load is to be told.
type Target struct {
	Pipeline
	// Kafka is how its cluster is reached; no files of it are read, for the
	// credentials that it asks for are given.
	Kafka       config.Kafka
	Credentials kafka.Credentials

	Topic string
	// TopicID is uuid.Nil while it isn't known.
	TopicID uuid.UUID
	Group   string

	Ingesters, Consumers []Pod
	// IngesterReplicas is how many the autoscaler believes to be there.
	IngesterReplicas int
	// QueueTargetBytes is what one ingester's queue should hold; 0 when its
	// ingesters aren't scaled.
	QueueTargetBytes int64
	// DelayTarget is how old a record may get until it is stored; 0 stands for
	// DefaultDelayTarget.
	DelayTarget time.Duration
	// RollingOut says that consumers are being replaced.
	RollingOut bool
}

// DefaultDelayTarget was chosen by simulation: see docs/autoscaling.md.
const DefaultDelayTarget = time.Minute

// Targets returns the pipelines that are to be looked after; the collector
// changes nothing in them.
type Targets func(ctx context.Context) ([]Target, error)
