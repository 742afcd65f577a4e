package topics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"
)

// Topic configurations that this package knows of, see
// https://kafka.apache.org/documentation/#topicconfigs.
const (
	maxMessageBytes   = "max.message.bytes"
	minInsyncReplicas = "min.insync.replicas"
	uncleanElection   = "unclean.leader.election.enable"
)

// watchedKeys are described for every topic: what may have to be raised, and
// what makes a topic weak.
var watchedKeys = []string{maxMessageBytes, minInsyncReplicas, uncleanElection}

// leastReplicas with which a topic goes on without one of them although two
// have to acknowledge.
const leastReplicas = 3

// keys of the configuration that are altered, in order.
func (d Desired) keys() []string {
	keys := slices.Sorted(maps.Keys(d.Config))
	if _, set := d.Config[maxMessageBytes]; !set && d.MessageBytes > 0 {
		keys = append(keys, maxMessageBytes)
	}
	return keys
}

// newTopicConfig is the desired configuration, completed: a new topic takes
// messages as large as needed, loses nothing to an unclean election, and with
// three replicas or more acknowledges only what two hold.
func newTopicConfig(desired Desired) []createtopics.RequestConfig {
	config := map[string]string{uncleanElection: "false"}
	if desired.MessageBytes > 0 {
		config[maxMessageBytes] = strconv.FormatInt(desired.MessageBytes, 10)
	}
	if desired.ReplicationFactor >= leastReplicas {
		config[minInsyncReplicas] = "2"
	}
	maps.Copy(config, desired.Config)
	entries := make([]createtopics.RequestConfig, 0, len(config))
	for _, key := range slices.Sorted(maps.Keys(config)) {
		entries = append(entries, createtopics.RequestConfig{Name: key, Value: config[key]})
	}
	return entries
}

// saferConfig is what a topic, just created with as many replicas as the
// brokers see fit, lacks: only now it is known how many these are.
func saferConfig(desired Desired, topic Topic, live map[string]string) map[string]string {
	_, set := desired.Config[minInsyncReplicas]
	if set || topic.ReplicationFactor < leastReplicas || !below(live[minInsyncReplicas], 2) {
		return nil
	}
	return map[string]string{minInsyncReplicas: "2"}
}

// weakness says how a topic can lose what was acknowledged, by what is known
// of its configuration.
func weakness(topic Topic, live map[string]string) string {
	var said []string
	if n := live[minInsyncReplicas]; topic.ReplicationFactor >= leastReplicas && below(n, 2) {
		said = append(said, fmt.Sprintf("its %s is %s with %d replicas, so that records are acknowledged which one broker alone holds: set it to 2", minInsyncReplicas, n, topic.ReplicationFactor))
	}
	if live[uncleanElection] == "true" {
		said = append(said, uncleanElection+" is true, so that a broker which lacks acknowledged records may lead: set it to false")
	}
	return strings.Join(said, "; ")
}

// configChanges are the desired keys that differ from the live ones, and no
// other.
func configChanges(desired Desired, live map[string]string) map[string]string {
	changes := map[string]string{}
	for key, value := range desired.Config {
		if !sameValue(value, live[key]) {
			changes[key] = value
		}
	}
	_, set := desired.Config[maxMessageBytes]
	if !set && below(live[maxMessageBytes], desired.MessageBytes) {
		changes[maxMessageBytes] = strconv.FormatInt(desired.MessageBytes, 10)
	}
	return changes
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

// setConfig alters these keys, and notes them in live.
func (c *Cluster) setConfig(ctx context.Context, topic string, changes, live map[string]string) error {
	if len(changes) == 0 {
		return nil
	}
	resource := kafkago.IncrementalAlterConfigsRequestResource{ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic}
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		resource.Configs = append(resource.Configs, kafkago.IncrementalAlterConfigsRequestConfig{
			Name: key, Value: changes[key], ConfigOperation: kafkago.ConfigOperationSet,
		})
	}
	response, err := c.admin.IncrementalAlterConfigs(ctx, &kafkago.IncrementalAlterConfigsRequest{
		Resources: []kafkago.IncrementalAlterConfigsRequestResource{resource},
	})
	if err == nil && len(response.Resources) > 0 {
		err = response.Resources[0].Error
	}
	c.forget(topic)
	if err != nil {
		return attempt{"alter the configuration of topic", "AlterConfigs", topic}.failed(err)
	}
	maps.Copy(live, changes)
	return nil
}
