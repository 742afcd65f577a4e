package topics

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// metadataVersion is the first with topic ids, which kafka-go doesn't know;
// flexible.
const metadataVersion = 10

// Bounds of one request, so that neither brokers nor the operator have to hold
// the description of a large cluster at once.
const (
	batchTopics     = 500
	batchPartitions = 20_000
)

// query is a topic to be described.
type query struct {
	name string
	keys []string
	// partitions that it is thought to have.
	partitions int32
}

// batchesOf cuts queries into what one request may ask for.
func batchesOf(queries []query) [][]query {
	slices.SortFunc(queries, func(a, b query) int { return int(a.partitions) - int(b.partitions) })
	var batches [][]query
	partitions := 0
	for begin, i := 0, 0; i < len(queries); i++ {
		partitions += int(queries[i].partitions)
		last := i+1 == len(queries)
		if last || i+1-begin == batchTopics || partitions+int(queries[i+1].partitions) > batchPartitions {
			batches = append(batches, queries[begin:i+1])
			begin, partitions = i+1, 0
		}
	}
	return batches
}

// description is a topic at a time.
type description struct {
	Topic
	at   time.Time
	keys []string // that were asked for
	// refusal is why there is no description; 0 when there is.
	refusal kafkago.Error
	// config has the keys that were asked for, unless configErr says why not.
	config    map[string]string
	configErr error
}

func (s description) missing() bool { return s.refusal == kafkago.UnknownTopicOrPartition }

// describe asks for topics and their configurations. A connection that ends
// under an exchange is tried anew, once: brokers close those that are idle,
// and those whose credentials have expired.
func (c *Cluster) describe(ctx context.Context, batches [][]query) (map[string]description, error) {
	all := map[string]description{}
	for _, batch := range batches {
		seen, err := c.readMetadata(ctx, batch)
		if ended(err) && c.hasAnswered() {
			seen, err = c.readMetadata(ctx, batch)
		}
		if err != nil {
			return nil, c.failed("describe topics", err)
		}
		c.mu.Lock()
		c.answered = true
		c.mu.Unlock()
		if err := c.readConfigs(ctx, batch, seen); err != nil {
			return nil, err
		}
		for _, q := range batch {
			s, found := seen[q.name]
			if !found {
				return nil, c.failed("describe topics", fmt.Errorf("the answer lacks topic %q", q.name))
			}
			s.Name, s.keys = q.name, q.keys
			s.Weakness = weakness(s.Topic, s.config)
			all[q.name] = s
		}
	}
	return all, nil
}

// readMetadata asks any broker for topics, by their names. None is created.
func (c *Cluster) readMetadata(ctx context.Context, batch []query) (map[string]description, error) {
	b := appendCompactCount(newRequest(protocol.Metadata, metadataVersion), len(batch))
	for _, q := range batch {
		b = append(b, make([]byte, 16)...) // no id: it is asked for by name
		b = appendCompactString(b, q.name)
		b = append(b, 0) // tags
	}
	b = append(b, 0, 0, 0, 0) // create: no; authorized operations of cluster, topic: no; tags
	response, err := c.ask(ctx, protocol.Metadata, b)
	if err != nil {
		return nil, err
	}
	return parseMetadata(response)
}

// parseMetadata reads a Metadata response v10.
func parseMetadata(response []byte) (map[string]description, error) {
	d := &decoder{rest: response}
	d.tags()
	d.skip(4) // throttle time
	for range d.compactCount(11) {
		d.skip(4)         // node id
		d.compactString() // host
		d.skip(4)         // port
		d.compactString() // rack
		d.tags()
	}
	cluster := d.compactString()
	d.skip(4) // controller
	topics := map[string]description{}
	for range d.compactCount(26) {
		name, s := readTopic(d)
		s.ClusterID = cluster
		topics[name] = s
	}
	return topics, d.err
}

func readTopic(d *decoder) (name string, s description) {
	s.refusal = kafkago.Error(d.int16())
	name = d.compactString()
	if id := d.take(16); id != nil {
		s.ID = uuid.UUID(id).String()
	}
	d.skip(1) // internal
	for range d.compactCount(18) {
		d.skip(2 + 4 + 4 + 4) // error, partition, leader, leader epoch
		replicas := d.compactCount(4)
		d.skip(4 * replicas)
		if n := int32(replicas); s.Partitions == 0 || n < s.ReplicationFactor {
			s.ReplicationFactor = n
		}
		s.Partitions++
		d.skip(4 * d.compactCount(4)) // in-sync replicas
		d.skip(4 * d.compactCount(4)) // offline replicas
		d.tags()
	}
	d.skip(4) // authorized operations
	d.tags()
	return name, s
}

// readConfigs completes what was seen of the topics that exist.
func (c *Cluster) readConfigs(ctx context.Context, batch []query, seen map[string]description) error {
	var resources []kafkago.DescribeConfigRequestResource
	for _, q := range batch {
		if s, found := seen[q.name]; found && s.refusal == 0 {
			resources = append(resources, kafkago.DescribeConfigRequestResource{
				ResourceType: kafkago.ResourceTypeTopic, ResourceName: q.name, ConfigNames: q.keys,
			})
		}
	}
	if len(resources) == 0 {
		return nil
	}
	response, err := c.admin.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Resources: resources})
	if err != nil {
		return c.failed("describe the configuration of topics", err)
	}
	for _, resource := range response.Resources {
		s := seen[resource.ResourceName]
		s.config, s.configErr = configOf(resource)
		seen[resource.ResourceName] = s
	}
	return nil
}

func configOf(resource kafkago.DescribeConfigResponseResource) (map[string]string, error) {
	if resource.Error != nil {
		return nil, attempt{"describe the configuration of topic", "DescribeConfigs", resource.ResourceName}.failed(resource.Error)
	}
	config := map[string]string{}
	for _, entry := range resource.ConfigEntries {
		config[entry.ConfigName] = entry.ConfigValue
	}
	return config, nil
}
