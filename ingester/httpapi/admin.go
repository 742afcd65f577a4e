package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/logpipeline/logpipeline/ingester/signal"
)

// adminPaths are those of the admin address.
const adminPaths = `  /metrics  what there is to measure, for Prometheus
  /healthz  whether the process serves
  /readyz   whether it is ready, and why not
  ` + signal.Path + `  what it tells those who scale it, as JSON
`

// NewAdmin returns the handler of the admin address:
//
//	/metrics  what gatherer gathers
//	/healthz  200 as long as the process serves
//	/readyz   200, or 503 with the error that ready returns
//
// Whoever asks for another path is told these and signal.Path, which is its
// owner's to add, and the lines of elsewhere, on what is served at other
// addresses.
//
// ready must not depend on Kafka: a broker that is away is no reason to take
// every pod out of its Service, or to restart it.
func NewAdmin(gatherer prometheus.Gatherer, ready func() error, elsewhere ...string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	directions := "there is nothing at this path of the admin address; there are\n" + adminPaths + strings.Join(elsewhere, "\n")
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, directions, http.StatusNotFound)
	})
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} { // by another method than GET
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this path takes GET", http.StatusMethodNotAllowed)
		})
	}
	return mux
}

// Directions is the line of NewAdmin's elsewhere on the intake, which listens at
// the address.
func Directions(address string) string {
	return fmt.Sprintf("records go to %s: POST %s, or, as OTLP, POST %s; GET %s{batch} says what became of them", address, logsPath, otlpPath, batchesPath)
}
