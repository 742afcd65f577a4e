package ingester

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// Who looks at the wrong address, or path, is told of the right one.
func TestBothAddressesSayWhereToLook(t *testing.T) {
	cfg := directConfig(t.TempDir())
	cfg.Aggregation.GroupBy = []string{"level"}
	r := start(t, config.RoleDirect, cfg)
	defer r.stop(t)
	admin, intake := strings.TrimPrefix(r.admin, "http://"), strings.TrimSuffix(r.url, "/logs")
	for url, want := range map[string]string{
		r.admin + "/":        "\n  /aggregates  what is counted of the stored records, as JSON\nrecords go to ",
		intake + "/metrics":  fmt.Sprintf(`metrics, health and signals are at \"%s\"`, admin),
		intake + "/anything": "records go to POST /logs",
	} {
		response, err := r.client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusNotFound || !strings.Contains(string(body), want) {
			t.Errorf("%s: error %v, %d %s, want %q", url, err, response.StatusCode, body, want)
		}
	}
}
