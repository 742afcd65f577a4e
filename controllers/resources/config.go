package resources

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// Configs are the configurations of the two roles. Each has what concerns its
// role alone; the rest are defaults.
type Configs struct {
	Ingester config.Config
	Consumer config.Config
}

// Config are the configurations of the pipeline's pods: the ingester's
// defaults and, over them, what the spec sets. The error names every field of
// the spec that cannot work, with its value and the remedy.
func Config(p *v1alpha1.LogPipeline) (Configs, error) {
	ingester, errIngester := ingesterConfig(p)
	consumer, errConsumer := consumerConfig(p)
	if err := errors.Join(errIngester, errConsumer); err != nil {
		return Configs{}, err
	}
	c := Configs{ingester, consumer}
	return c, check(p, c)
}

// commonConfig is what both roles need.
func commonConfig(p *v1alpha1.LogPipeline) config.Config {
	c := config.Default()
	c.Listen = fmt.Sprintf(":%d", ingestPort)
	c.AdminListen = fmt.Sprintf(":%d", adminPort)
	c.DataDir = dataDir
	c.Topic = TopicName(p)
	c.Kafka.BootstrapServers = slices.Sorted(slices.Values(p.Spec.Kafka.BootstrapServers))
	c.Kafka.ClientID = fmt.Sprintf("logpipeline.%s.%s", p.Namespace, p.Name)
	c.Kafka.TLS = kafkaTLS(p.Spec.Kafka.Security.TLS)
	c.Kafka.SASL = kafkaSASL(p.Spec.Kafka.Security.SASL)
	return c
}

func kafkaTLS(spec *v1alpha1.KafkaTLSSpec) config.KafkaTLS {
	if spec == nil {
		return config.KafkaTLS{}
	}
	tls := config.KafkaTLS{Enabled: true, ServerName: spec.ServerName}
	if spec.CASecretRef != nil {
		tls.CAFile = secretFile(kafkaCAVolume, keyOf(*spec.CASecretRef))
	}
	if spec.ClientCertSecretRef != nil {
		tls.CertFile, tls.KeyFile = pairFiles(kafkaCertVolume)
	}
	return tls
}

func kafkaSASL(spec *v1alpha1.KafkaSASLSpec) config.KafkaSASL {
	if spec == nil {
		return config.KafkaSASL{}
	}
	return config.KafkaSASL{
		Mechanism:    config.SASLMechanism(spec.Mechanism),
		UsernameFile: secretFile(kafkaSASLVolume, usernameKey),
		PasswordFile: secretFile(kafkaSASLVolume, passwordKey),
	}
}

func pairFiles(volume string) (cert, key string) {
	keys := pairKeys()
	return secretFile(volume, keys[0]), secretFile(volume, keys[1])
}

func ingesterConfig(p *v1alpha1.LogPipeline) (config.Config, error) {
	c, spec := commonConfig(p), p.Spec.Ingester
	setText(&c.Acknowledge, spec.Acknowledge)
	set(&c.Drain.DelaySeconds, spec.Drain.DelaySeconds)
	set(&c.Drain.TimeoutSeconds, spec.Drain.TimeoutSeconds)
	c.DeadLetter.Topic = DeadLetterTopicName(p)
	setAccess(&c, p)
	var spool *resource.Quantity
	if spec.Spool != nil {
		spool = &spec.Spool.MaxBytes
	}
	err := errors.Join(
		setSize(&c.Queue.MaxBytes, spec.Queue.MaxBytes, "spec.ingester.queue.maxBytes"),
		setSize(&c.Spool.MaxBytes, spool, "spec.ingester.spool.maxBytes"),
		setSize(&c.DeadLetter.MaxBytes, p.Spec.DeadLetter.MaxBytes, "spec.deadLetter.maxBytes"),
		setProducer(&c.Producer, spec.Producer),
		setLimits(&c.RequestLimits, spec.RequestLimits),
	)
	return c, err
}

func setProducer(c *config.Producer, spec v1alpha1.ProducerSpec) error {
	set(&c.BatchRecords, spec.BatchRecords)
	set(&c.BatchMaxDelayMilliseconds, spec.BatchMaxDelayMilliseconds)
	set(&c.DeliveryTimeoutSeconds, spec.DeliveryTimeoutSeconds)
	setText(&c.Compression, spec.Compression)
	set(&c.CompressionLevel, spec.CompressionLevel)
	setText(&c.RequiredAcks, spec.RequiredAcks)
	c.KeyField = spec.KeyField
	c.Headers = append([]string{}, spec.Headers...)
	return setSize(&c.BatchBytes, spec.BatchBytes, "spec.ingester.producer.batchBytes")
}

func setLimits(c *config.RequestLimits, spec v1alpha1.RequestLimitsSpec) error {
	set(&c.MaxDepth, spec.MaxDepth)
	set(&c.MaxConnections, spec.MaxConnections)
	set(&c.MaxInFlight, spec.MaxInFlight)
	set(&c.BodyTimeoutSeconds, spec.BodyTimeoutSeconds)
	slowest := spec.MinBodyBytesPerSecond
	if slowest != nil && slowest.IsZero() {
		c.MinBodyBytesPerSecond, slowest = 0, nil
	}
	return errors.Join(
		setSize(&c.MaxBodyBytes, spec.MaxBodyBytes, "spec.ingester.requestLimits.maxBodyBytes"),
		setSize(&c.MaxRecordBytes, spec.MaxRecordBytes, "spec.ingester.requestLimits.maxRecordBytes"),
		setSize(&c.MinBodyBytesPerSecond, slowest, "spec.ingester.requestLimits.minBodyBytesPerSecond"),
	)
}

// setAccess says where the pods find what the Secrets hold.
func setAccess(c *config.Config, p *v1alpha1.LogPipeline) {
	access := p.Spec.Ingester.Authentication
	if p.Spec.Ingester.TLS != nil {
		c.TLS.CertFile, c.TLS.KeyFile = pairFiles(tlsVolume)
	}
	if access.BearerTokensSecretRef != nil {
		c.Authentication.BearerTokensDir = secretDir(tokensVolume)
	}
	if access.BasicSecretRef != nil {
		c.Authentication.BasicDir = secretDir(basicVolume)
	}
	if certificates := access.ClientCertificates; certificates != nil {
		c.TLS.ClientCAFile = secretFile(clientCAVolume, keyOf(certificates.CASecretRef))
		c.Authentication.ClientCertificates.Accepted = true
		c.Authentication.ClientCertificates.AllowedNames = append([]string{}, certificates.AllowedNames...)
	}
}

func consumerConfig(p *v1alpha1.LogPipeline) (config.Config, error) {
	c, spec, storage := commonConfig(p), p.Spec.Consumer, p.Spec.Storage
	c.Consumer.Group = spec.Group
	c.Consumer.Group = c.ConsumerGroup()
	c.Consumer.InstanceID = "$HOSTNAME" // the pod's name
	setText(&c.Consumer.OnLoss, spec.OnLoss)
	set(&c.Consumer.SessionTimeoutSeconds, spec.SessionTimeoutSeconds)
	set(&c.Drain.TimeoutSeconds, spec.DrainTimeoutSeconds)
	if storage.ObjectStore != nil {
		c.ObjectStore.URL = storage.ObjectStore.URL
		c.Segment.MaxAgeSeconds = config.ObjectStoreMaxAgeSeconds
	}
	set(&c.Segment.MaxAgeSeconds, storage.Segment.MaxAgeSeconds)
	setText(&c.Segment.Compression, storage.Segment.Compression)
	if age := storage.Retention.MaxAgeSeconds; age != nil {
		c.Retention.MaxAgeSeconds = int(*age)
	}
	err := errors.Join(
		setSize(&c.Consumer.FetchMaxBytes, spec.FetchMaxBytes, "spec.consumer.fetchMaxBytes"),
		setSize(&c.Consumer.FetchMaxTotalBytes, spec.FetchMaxTotalBytes, "spec.consumer.fetchMaxTotalBytes"),
		setSize(&c.Segment.MaxBytes, storage.Segment.MaxBytes, "spec.storage.segment.maxBytes"),
		setSize(&c.Segment.MaxOpenBytes, storage.Segment.MaxOpenBytes, "spec.storage.segment.maxOpenBytes"),
		setSize(&c.Retention.MaxBytes, storage.Retention.MaxBytes, "spec.storage.retention.maxBytes"),
		setAggregation(&c.Aggregation, p.Spec.Aggregation),
	)
	return c, err
}

func setAggregation(c *config.Aggregation, spec *v1alpha1.AggregationSpec) error {
	if spec == nil {
		return nil
	}
	set(&c.WindowSeconds, spec.WindowSeconds)
	set(&c.MaxGroups, spec.MaxGroups)
	c.GroupBy = append([]string{}, spec.GroupBy...)
	c.Numeric = append([]string{}, spec.Numeric...)
	if len(spec.Quantiles) > 0 {
		c.Quantiles = nil
	}
	for i, text := range spec.Quantiles {
		quantile, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("spec.aggregation.quantiles[%d] is %q: write a number from 0 to 1, such as \"0.99\"", i, text)
		}
		c.Quantiles = append(c.Quantiles, quantile)
	}
	return nil
}

func set(field *int, value *int32) {
	if value != nil {
		*field = int(*value)
	}
}

func setText[C, V ~string](field *C, value V) {
	if value != "" {
		*field = C(value)
	}
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
