package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/logpipeline/logpipeline/controllers"
	"github.com/logpipeline/logpipeline/controllers/metricsapi"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// Environment variables that say who this is.
const (
	podVariable       = "POD_NAME"
	namespaceVariable = "POD_NAMESPACE"
	serviceVariable   = "METRICS_API_SERVICE"
)

// scalingOptions are what the command line, and the environment, say of
// autoscaling.
type scalingOptions struct {
	// address and service of the metrics API; without a service it is not
	// served.
	address, service string
	// pod and namespace that this runs in; empty outside of a cluster.
	pod, namespace string
	// kubeconfig is empty for the cluster that this runs in.
	kubeconfig string
}

func (o *scalingOptions) register(flags *flag.FlagSet, getenv func(string) string) {
	o.pod, o.namespace = getenv(podVariable), getenv(namespaceVariable)
	flags.StringVar(&o.service, "metrics-api-service", getenv(serviceVariable), "Service, in the operator's own namespace, that the APIService of external metrics points at; empty serves no metrics to autoscalers; default: $"+serviceVariable)
	flags.StringVar(&o.address, "metrics-api-bind-address", ":6443", "address of the metrics for autoscalers")
}

func (o *scalingOptions) validate() error {
	if o.service != "" && (o.pod == "" || o.namespace == "") {
		return fmt.Errorf("--metrics-api-service is %q, but %s is %q and %s is %q: set both to the operator's own pod, or leave the service empty",
			o.service, podVariable, o.pod, namespaceVariable, o.namespace)
	}
	return nil
}

func (o *scalingOptions) serviceName() types.NamespacedName {
	return types.NamespacedName{Namespace: o.namespace, Name: o.service}
}

// addScaling has the manager collect the load of pipelines into a store, show
// it in their status and as metrics, and serve it to autoscalers. All but the
// status is done on every replica.
func addScaling(ctx context.Context, mgr ctrl.Manager, reconciler *controllers.Reconciler, store *scaling.Store, o scalingOptions) error {
	logger := slog.New(logr.ToSlogHandler(mgr.GetLogger().WithName("scaling")))
	err := errors.Join(
		mgr.Add(scaling.NewCollector(reconciler.Targets(), store, logger)),
		mgr.Add(controllers.NewObserver(mgr.GetClient(), store, logger)),
		metrics.Registry.Register(metricsapi.NewGauges(store)),
		metrics.Registry.Register(controllers.NewRolloutGauges(reconciler)),
	)
	if err != nil {
		return fmt.Errorf("add collector: %w", err)
	}
	if o.service == "" {
		return nil
	}
	if err := addMetricsAPI(ctx, mgr, store, o, logger); err != nil {
		return fmt.Errorf("add metrics API: %w", err)
	}
	return nil
}

func addMetricsAPI(ctx context.Context, mgr ctrl.Manager, store *scaling.Store, o scalingOptions, logger *slog.Logger) error {
	uncached, err := client.New(mgr.GetConfig(), client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme()})
	if err != nil {
		return err
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", o.address)
	if err != nil {
		return fmt.Errorf("listen at --metrics-api-bind-address: %w", err)
	}
	server, err := metricsapi.New(metricsapi.Options{
		Listener: listener, Service: o.serviceName(), Pod: o.pod, Kubeconfig: o.kubeconfig,
		Client: uncached, Store: store, Logger: logger,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return errors.Join(mgr.Add(server), mgr.AddReadyzCheck("metrics-api", server.Ready))
}
