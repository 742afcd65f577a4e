// Command operator reconciles LogPipelines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/logpipeline/logpipeline/controllers"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/controllers/topics"
)

func main() {
	options, err := parseOptions(os.Args[1:], os.Getenv, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(2)
	case options.version:
		fmt.Println(currentBuild())
		return
	}
	if err := run(ctrl.SetupSignalHandler(), options); err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

// run reconciles until the context is closed or something cannot go on.
func run(ctx context.Context, options options) error {
	logger := options.logger(os.Stderr)
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	build := currentBuild()
	logger.Info("starting", "version", build.version, "commit", build.commit, "go", build.compiler, "ingesterImage", options.ingesterImage, "namespaces", options.namespaces)
	cluster, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	mgr, err := ctrl.NewManager(cluster, options.manager())
	if err != nil {
		return fmt.Errorf("create manager: %w", err)
	}
	pool := topics.NewPool()
	defer pool.Close()
	if err := addControllers(ctx, mgr, pool, options); err != nil {
		return err
	}
	err = errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("caches", cachesSynced(mgr)), metrics.Registry.Register(build.info()))
	if err != nil {
		return fmt.Errorf("add probes and metrics: %w", err)
	}
	return mgr.Start(ctx)
}

// addControllers has the manager reconcile pipelines, and follow and scale
// them.
func addControllers(ctx context.Context, mgr ctrl.Manager, pool *topics.Pool, options options) error {
	store := scaling.NewStore()
	autoscaling, err := controllers.NewAutoscaling(mgr, store, options.scaling.serviceName())
	if err != nil {
		return err
	}
	reconciler := controllers.NewReconciler(mgr, pool, autoscaling, options.ingesterImage)
	reconciler.Namespace, reconciler.Concurrency = options.scaling.namespace, options.concurrency
	reconciler.Release = version + " " + options.ingesterImage
	if err := reconciler.SetupWithManager(ctx, mgr); err != nil {
		return err
	}
	return addScaling(ctx, mgr, reconciler, store, options.scaling)
}
