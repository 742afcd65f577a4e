package scenario

import (
	"context"
	"fmt"
	"regexp"
)

var forwarding = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+) `)

// Forward forwards a local port to one of the pipeline's ingesters and returns
// the URL of its POST /logs. The forwarding ends with stop, or with the context.
func (c Cluster) Forward(ctx context.Context, p Pipeline) (url string, stop func(), err error) {
	address, stop, err := c.background(ctx, forwarding,
		"port-forward", "-n", p.Namespace, "service/"+p.Name+"-ingester", ":8080", "--address", "127.0.0.1")
	if err != nil {
		return "", nil, fmt.Errorf("forward a port to %s: %w", p.Name, err)
	}
	return "http://" + address + "/logs", stop, nil
}
