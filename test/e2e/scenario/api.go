package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
)

// API is the cluster's API server, and through it every Service and pod, for
// many requests at a time: a kubectl for each would cost more than they do.
type API struct{ base string }

var proxying = regexp.MustCompile(`^Starting to serve on (127\.0\.0\.1:\d+)`)

// Proxy opens the API server until stop, or the context's end.
func (c Cluster) Proxy(ctx context.Context) (api API, stop func(), err error) {
	address, stop, err := c.background(ctx, proxying, "proxy", "--port=0", "--address=127.0.0.1")
	if err != nil {
		return API{}, nil, err
	}
	return API{base: "http://" + address}, stop, nil
}

// IngestURL is that of POST /logs. The API server chooses a ready ingester for
// each request, so that new ones get their share at once.
func (a API) IngestURL(p Pipeline) string {
	return a.base + "/api/v1/namespaces/" + p.Namespace + "/services/" + p.Name + "-ingester:http/proxy/logs"
}

// Get reads a JSON document.
func (a API) Get(ctx context.Context, path string, into any) error {
	text, err := a.Text(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// Text reads whatever there is; any status but 200 is an error.
func (a API) Text(ctx context.Context, path string) (text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("get %s: status %d: %s", path, response.StatusCode, body)
	}
	return string(body), nil
}
