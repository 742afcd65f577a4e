package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

func TestBounds(t *testing.T) {
	bounds := newOptions(t)
	for name, tc := range map[string]struct {
		change func(*options)
		broken string // "" when every bound is kept
	}{
		"restart within the time":   {func(o *options) { o.only = "restart" }, ""},
		"restart too slow":          {func(o *options) { o.only, o.within = "restart", time.Millisecond }, "the bound is 0.00 s"},
		"memory within the bound":   {func(o *options) { o.only = "memory" }, ""},
		"memory too large":          {func(o *options) { o.only, o.slackBytes = "memory", -60<<20 }, "the bound is 4 MiB"},
		"a consumer that ends":      {func(o *options) { o.only, o.binaries = "memory", "/bin" }, "no such file"},
		"nothing is stored in time": {func(o *options) { o.only, o.patience = "memory", 0 }, "records are stored after 0s"},
		"called wrongly":            {func(o *options) { o.only = "speed" }, "choose restart or memory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir()) // what a failed run leaves goes with the test
			o := bounds
			tc.change(&o)
			err := run(t.Context(), o)
			if (err == nil) != (tc.broken == "") || err != nil && !strings.Contains(err.Error(), tc.broken) {
				t.Errorf("error is %v, want %q", err, tc.broken)
			}
		})
	}
}

// newOptions are of a moment's run, on the real broker that KAFKA_BOOTSTRAP
// names, else on one in this process, with bounds that no machine breaks.
func newOptions(t *testing.T) options {
	t.Helper()
	o := options{
		binaries: t.TempDir(), kafka: os.Getenv("KAFKA_BOOTSTRAP"), patience: 2 * time.Minute,
		segments: 40, within: 2 * time.Minute, partitions: 10, records: 10_000, slackBytes: 1 << 30,
	}
	if o.kafka == "" {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		o.kafka = cluster.ListenAddrs()[0]
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", o.binaries+"/", "../../cmd/ingester")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	return o
}
