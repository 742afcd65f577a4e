package topics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
)

// Topic configurations that this package knows of, see
// https://kafka.apache.org/documentation/#topicconfigs.
const (
	maxMessageBytes   = "max.message.bytes"
	minInsyncReplicas = "min.insync.replicas"
)

// newTopicConfig is the desired configuration, completed: a new topic takes
// messages as large as needed, and with three replicas or more acknowledges
// only what two hold.
func newTopicConfig(desired Desired) []kafkago.ConfigEntry {
	config := maps.Clone(desired.Config)
	if config == nil {
		config = map[string]string{}
	}
	if _, set := config[maxMessageBytes]; !set && desired.MessageBytes > 0 {
		config[maxMessageBytes] = strconv.FormatInt(desired.MessageBytes, 10)
	}
	if _, set := config[minInsyncReplicas]; !set && desired.ReplicationFactor >= 3 {
		config[minInsyncReplicas] = "2"
	}
	entries := make([]kafkago.ConfigEntry, 0, len(config))
	for _, key := range slices.Sorted(maps.Keys(config)) {
		entries = append(entries, kafkago.ConfigEntry{ConfigName: key, ConfigValue: config[key]})
	}
	return entries
}

// alterConfig sets the desired keys that differ, and no other.
func (c *Cluster) alterConfig(ctx context.Context, desired Desired) error {
	keys := slices.Sorted(maps.Keys(desired.Config))
	_, set := desired.Config[maxMessageBytes]
	raise := !set && desired.MessageBytes > 0
	if raise {
		keys = append(keys, maxMessageBytes)
	}
	if len(keys) == 0 {
		return nil
	}
	live, err := c.describeConfig(ctx, desired.Name, keys)
	if err != nil {
		return err
	}
	changes := map[string]string{}
	for key, value := range desired.Config {
		if !sameValue(value, live[key]) {
			changes[key] = value
		}
	}
	if raise && below(live[maxMessageBytes], desired.MessageBytes) {
		changes[maxMessageBytes] = strconv.FormatInt(desired.MessageBytes, 10)
	}
	if len(changes) == 0 {
		return nil
	}
	return c.setConfig(ctx, desired.Name, changes)
}

// sameValue compares as the brokers do, who write "0.50" back as "0.5" and
// "TRUE" as "true".
func sameValue(desired, live string) bool {
	desired, live = strings.TrimSpace(desired), strings.TrimSpace(live)
	if desired == live || strings.EqualFold(desired, live) && (live == "true" || live == "false") {
		return true
	}
	a, errA := strconv.ParseFloat(desired, 64)
	b, errB := strconv.ParseFloat(live, 64)
	return errA == nil && errB == nil && a == b
}

func below(live string, least int64) bool {
	bytes, err := strconv.ParseInt(live, 10, 64)
	return err == nil && bytes < least
}

func (c *Cluster) describeConfig(ctx context.Context, topic string, keys []string) (map[string]string, error) {
	failed := func(err error) error { return failed(fmt.Errorf("describe configuration of topic %q: %w", topic, err)) }
	response, err := c.admin.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{
		Resources: []kafkago.DescribeConfigRequestResource{{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, ConfigNames: keys,
		}},
	})
	if err != nil {
		return nil, failed(err)
	}
	live := map[string]string{}
	for _, resource := range response.Resources {
		if resource.Error != nil {
			return nil, failed(resource.Error)
		}
		for _, entry := range resource.ConfigEntries {
			live[entry.ConfigName] = entry.ConfigValue
		}
	}
	return live, nil
}

func (c *Cluster) setConfig(ctx context.Context, topic string, changes map[string]string) error {
	failed := func(err error) error { return failed(fmt.Errorf("alter configuration of topic %q: %w", topic, err)) }
	resource := kafkago.IncrementalAlterConfigsRequestResource{ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic}
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		resource.Configs = append(resource.Configs, kafkago.IncrementalAlterConfigsRequestConfig{
			Name: key, Value: changes[key], ConfigOperation: kafkago.ConfigOperationSet,
		})
	}
	response, err := c.admin.IncrementalAlterConfigs(ctx, &kafkago.IncrementalAlterConfigsRequest{
		Resources: []kafkago.IncrementalAlterConfigsRequestResource{resource},
	})
	if err != nil {
		return failed(err)
	}
	for _, answer := range response.Resources {
		if answer.Error != nil {
			return failed(answer.Error)
		}
	}
	return nil
}
