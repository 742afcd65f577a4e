// Package metricsapi serves the load of pipelines to autoscalers, as the API
// external.metrics.k8s.io/v1beta1, from the operator's own process and from
// every replica of it.
//
// It makes its certificate itself, keeps the key in memory, and adds the
// certificate to the bundle of the APIService that points at it. Who may ask
// is decided by the API server, by its delegated checks.
package metricsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"

	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// +kubebuilder:rbac:groups=apiregistration.k8s.io,resources=apiservices,resourceNames=v1beta1.external.metrics.k8s.io,verbs=get;patch
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// Options say what is served, and as whom.
type Options struct {
	// Listener is served from, and closed, by Start.
	Listener net.Listener
	// Service of the operator that the chart's APIService points at.
	Service types.NamespacedName
	// Pod is a name that no other replica has, and that stays when the
	// container restarts.
	Pod string
	// Kubeconfig leads to the API server that decides who may ask; empty means
	// the one whose cluster this runs in.
	Kubeconfig string
	// Client reads from the API server, not from a cache.
	Client client.Client
	Store  *scaling.Store
	Logger *slog.Logger
}

// Server serves the metrics API. It is a Runnable of a manager.
type Server struct {
	options Options
	keeper  *keeper
}

// New returns a server that has not begun.
func New(options Options) (*Server, error) {
	now := time.Now()
	first, err := newCertificate(options.Pod, options.Service.Name, options.Service.Namespace, now)
	if err != nil {
		return nil, fmt.Errorf("create metrics API: %w", err)
	}
	return &Server{options: options, keeper: &keeper{
		client: options.Client, service: options.Service, pod: options.Pod, logger: options.Logger,
		now: time.Now, serving: &serving{current: first},
	}}, nil
}

// NeedLeaderElection tells a manager that every replica serves.
func (s *Server) NeedLeaderElection() bool { return false }

// Ready is a readiness check: it fails until the API servers have been told of
// the certificate, or there was nobody to tell.
func (s *Server) Ready(*http.Request) error {
	if !s.keeper.settled.Load() {
		return errors.New("metrics API is not served yet: its certificate is not published, or the API server's delegated checks cannot be set up")
	}
	return nil
}

// prepareEvery is how long it takes until the server is tried to be set up again.
const prepareEvery = 5 * time.Second

// Start serves until ctx ends, and returns nil. Setting up asks the API server
// how to tell who asks; while it does not say, that is tried again, for
// pipelines go on without autoscalers.
func (s *Server) Start(ctx context.Context) error {
	for {
		server, authorities, err := s.prepare()
		if err == nil {
			return s.serve(ctx, server, authorities)
		}
		s.options.Logger.Error("metrics API cannot be set up yet; it needs the role extension-apiserver-authentication-reader in kube-system", "error", err)
		select {
		case <-ctx.Done():
			return s.options.Listener.Close()
		case <-time.After(prepareEvery):
		}
	}
}

func (s *Server) serve(ctx context.Context, server *genericapiserver.GenericAPIServer, authorities func() []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	defer keeping.Wait()
	defer cancel()
	keeping.Go(func() {
		s.awaitFrontProxy(ctx, authorities)
		s.keeper.run(ctx)
	})
	if err := server.PrepareRun().RunWithContext(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve metrics API: %w", err)
	}
	return nil
}

// allowedFor is how long the API server's leave to ask holds: many autoscalers
// ask every 15 s.
const allowedFor = time.Minute

// prepare returns the server, and who signs the certificate of the front proxy
// by which API servers say who asks.
func (s *Server) prepare() (server *genericapiserver.GenericAPIServer, authorities func() []byte, err error) {
	secure := genericoptions.NewSecureServingOptions().WithLoopback()
	secure.Listener = s.options.Listener
	secure.ServerCert.GeneratedCert = s.keeper.serving
	authentication := genericoptions.NewDelegatingAuthenticationOptions()
	authentication.RemoteKubeConfigFile = s.options.Kubeconfig
	authorization := genericoptions.NewDelegatingAuthorizationOptions()
	authorization.RemoteKubeConfigFile = s.options.Kubeconfig
	authorization.AllowCacheTTL = allowedFor

	config := genericapiserver.NewConfig(apiserver.Codecs)
	config.EnableProfiling = false
	if err := secure.ApplyTo(&config.SecureServing, &config.LoopbackClientConfig); err != nil {
		return nil, nil, err
	}
	if err := authentication.ApplyTo(&config.Authentication, config.SecureServing, nil); err != nil {
		return nil, nil, err
	}
	if err := authorization.ApplyTo(&config.Authorization); err != nil {
		return nil, nil, err
	}
	provided := &metrics{store: s.options.Store, now: time.Now}
	adapter, err := (&apiserver.Config{GenericConfig: config}).Complete(nil).New("logpipeline", nil, provided)
	if err != nil {
		return nil, nil, err
	}
	return adapter.GenericAPIServer, config.Authentication.RequestHeaderConfig.CAContentProvider.CurrentCABundleContent, nil
}
