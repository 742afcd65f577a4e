package ingester

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/logpipeline/logpipeline/ingester/httpapi"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// adminTimeout bounds each step of a request to the admin address; there is
// none that takes long.
const adminTimeout = 10 * time.Second

// admin is the server for those who watch the process. It starts first and
// stops last.
type admin struct {
	listener net.Listener
	mux      *http.ServeMux // may grow while it is served
	server   *http.Server
	stopped  chan error
	state    atomic.Pointer[string] // why the process isn't ready, nil when it is
	health   func() error           // why it isn't although it runs; set before ready
}

func openAdmin(ctx context.Context, address string, gatherer prometheus.Gatherer, logger *slog.Logger, elsewhere ...string) (*admin, error) {
	listener, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	a := &admin{listener: listener, mux: http.NewServeMux(), stopped: make(chan error, 1), health: func() error { return nil }}
	a.setState("starting")
	a.mux.Handle("/", httpapi.NewAdmin(gatherer, a.readiness, elsewhere...))
	a.server = &http.Server{
		Handler:           a.mux,
		ReadHeaderTimeout: adminTimeout,
		ReadTimeout:       adminTimeout,
		WriteTimeout:      adminTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	return a, nil
}

func (a *admin) address() string { return a.listener.Addr().String() }

// start serves until stop, which waits for it.
func (a *admin) start() {
	go func() { a.stopped <- a.server.Serve(a.listener) }()
}

func (a *admin) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := a.server.Shutdown(ctx)
	if served := <-a.stopped; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("stop the admin server: %w", err)
	}
	return nil
}

func (a *admin) ready()    { a.state.Store(nil) }
func (a *admin) draining() { a.setState("draining") }

func (a *admin) setState(s string) { a.state.Store(&s) }

func (a *admin) readiness() error {
	if why := a.state.Load(); why != nil {
		return errors.New(*why)
	}
	return a.health()
}

func newRegistry(version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "logpipeline_ingester_build_info",
		Help:        "1, labelled with the version that runs.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
