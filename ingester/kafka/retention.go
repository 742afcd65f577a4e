package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// Retention is after how long the brokers may remove a record of the topic, by
// its timestamp; 0 is never. They remove whole files, so it may take longer;
// and retention.bytes, if it is set, may make it shorter.
func (c *Client) Retention(ctx context.Context, topic string) (time.Duration, error) {
	retention, err := c.retention(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("read retention of topic %q: %w", topic, err)
	}
	return retention, nil
}

func (c *Client) retention(ctx context.Context, topic string) (time.Duration, error) {
	const policy, age = "cleanup.policy", "retention.ms"
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := c.Admin().DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Resources: []kafkago.DescribeConfigRequestResource{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{policy, age},
	}}})
	if err != nil {
		return 0, c.Explain(err)
	}
	values := map[string]string{}
	for _, r := range response.Resources {
		if r.Error != nil {
			return 0, r.Error
		}
		for _, entry := range r.ConfigEntries {
			values[entry.ConfigName] = entry.ConfigValue
		}
	}
	if !strings.Contains(values[policy], "delete") && values[policy] != "" {
		return 0, nil
	}
	milliseconds, err := strconv.ParseInt(values[age], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q: %w", age, values[age], err)
	}
	const longest = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(max(0, min(milliseconds, longest))) * time.Millisecond, nil
}
