package resources

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// Config is the configuration of the pipeline's pods: the ingester's defaults
// and, over them, what the spec sets. The error names every field of the spec
// that cannot work, with its value and the remedy.
func Config(p *v1alpha1.LogPipeline) (config.Config, error) {
	c := config.Default()
	c.Listen = fmt.Sprintf(":%d", ingestPort)
	c.AdminListen = fmt.Sprintf(":%d", adminPort)
	c.DataDir = dataDir
	c.Topic = TopicName(p)
	c.Kafka.BootstrapServers = slices.Sorted(slices.Values(p.Spec.Kafka.BootstrapServers))
	c.Kafka.ClientID = fmt.Sprintf("logpipeline.%s.%s", p.Namespace, p.Name)
	c.Consumer.Group = p.Spec.Consumer.Group
	c.Consumer.Group = c.ConsumerGroup()
	setCounts(&c, p)
	if err := setSizes(&c, p); err != nil {
		return config.Config{}, err
	}
	return c, errors.Join(validate(c), checkMemory(p.Spec.Ingester.Pod.Resources, c), checkTopicConfig(p.Spec.Topic, c))
}

// checkTopicConfig refuses settings under which the topic takes no records, or
// not all that the ingesters admit.
func checkTopicConfig(topic v1alpha1.TopicSpec, c config.Config) error {
	var mistakes []error
	if policy := string(topic.Config["cleanup.policy"]); strings.Contains(policy, "compact") {
		mistakes = append(mistakes, fmt.Errorf("spec.topic.config[cleanup.policy] is %q, under which Kafka refuses records without a key: leave it at \"delete\"", policy))
	}
	if bytes, found := topic.Config["max.message.bytes"]; found {
		if n, err := strconv.ParseInt(string(bytes), 10, 64); err != nil || n < c.TopicMaxMessageBytes() {
			mistakes = append(mistakes, fmt.Errorf("spec.topic.config[max.message.bytes] is %q, but requestLimits.maxRecordBytes (%s) and producer.batchBytes (%s) need %d: raise it, lower spec.ingester.requestLimits.maxRecordBytes, or leave it out",
				string(bytes), c.RequestLimits.MaxRecordBytes, c.Producer.BatchBytes, c.TopicMaxMessageBytes()))
		}
	}
	return errors.Join(mistakes...)
}

// checkMemory refuses a memory limit at which a full queue would get the pod
// killed, since the queue's bound is what keeps it alive.
func checkMemory(spec v1alpha1.ResourcesSpec, c config.Config) error {
	limit, found := spec.Limits[corev1.ResourceMemory]
	if least := leastIngesterMemory(c); found && limit.Value() < least {
		return fmt.Errorf("spec.ingester.pod.resources.limits.memory is %s, but queue.maxBytes (%s) and the process beside it need %s: raise the limit, or lower spec.ingester.queue.maxBytes",
			&limit, c.Queue.MaxBytes, resource.NewQuantity(least, resource.BinarySI))
	}
	return nil
}

func setCounts(c *config.Config, p *v1alpha1.LogPipeline) {
	producer, drain, segment := p.Spec.Ingester.Producer, p.Spec.Ingester.Drain, p.Spec.Storage.Segment
	set(&c.Producer.BatchRecords, producer.BatchRecords)
	set(&c.Producer.BatchMaxDelayMilliseconds, producer.BatchMaxDelayMilliseconds)
	set(&c.Producer.DeliveryTimeoutSeconds, producer.DeliveryTimeoutSeconds)
	set(&c.Drain.DelaySeconds, drain.DelaySeconds)
	set(&c.Drain.TimeoutSeconds, drain.TimeoutSeconds)
	set(&c.Segment.MaxAgeSeconds, segment.MaxAgeSeconds)
}

func set(field *int, value *int32) {
	if value != nil {
		*field = int(*value)
	}
}

func setSizes(c *config.Config, p *v1alpha1.LogPipeline) error {
	limits := p.Spec.Ingester.RequestLimits
	return errors.Join(
		setSize(&c.Queue.MaxBytes, p.Spec.Ingester.Queue.MaxBytes, "spec.ingester.queue.maxBytes"),
		setSize(&c.RequestLimits.MaxBodyBytes, limits.MaxBodyBytes, "spec.ingester.requestLimits.maxBodyBytes"),
		setSize(&c.RequestLimits.MaxRecordBytes, limits.MaxRecordBytes, "spec.ingester.requestLimits.maxRecordBytes"),
		setSize(&c.Segment.MaxBytes, p.Spec.Storage.Segment.MaxBytes, "spec.storage.segment.maxBytes"),
	)
}

func setSize(field *config.Bytes, value *resource.Quantity, name string) error {
	if value == nil {
		return nil
	}
	bytes, whole := value.AsInt64()
	if !whole || bytes <= 0 {
		return fmt.Errorf("%s is %q: write a whole number of bytes above 0, such as 64Mi", name, value)
	}
	*field = config.Bytes(bytes)
	return nil
}

// validate asks the very code that the pods ask. Both roles find the same
// mistakes in what they share, so the second is asked only when the first
// finds none.
func validate(c config.Config) error {
	if err := c.Validate(config.RoleServe); err != nil {
		return err
	}
	return c.Validate(config.RoleConsume)
}
