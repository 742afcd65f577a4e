package ingester

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// Two embedded brokers on one directory would write into the same logs, and
// lose what both have acknowledged.
func TestStandaloneRefusesADirectoryInUse(t *testing.T) {
	cfg := standalone(t.TempDir())
	first := start(t, config.RoleStandalone, cfg)
	second := cfg
	second.Listen, second.AdminListen = freeAddress(t), freeAddress(t)
	err := Run(t.Context(), config.RoleStandalone, second, "test", slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "another process runs on it") {
		t.Errorf("a second one on the same directory: %v, want to be told that another process runs on it", err)
	}
	first.stop(t)
	start(t, config.RoleStandalone, cfg).stop(t)
}
