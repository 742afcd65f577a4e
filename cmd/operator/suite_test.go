package main

import (
	"log/slog"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/metricsapi/aggregationtest"
)

// One API server with its aggregator serves every test. There are no
// controllers beside it: nothing is scheduled, and owners' objects stay.
var (
	environment *envtest.Environment
	api         client.Client // the administrator's
)

// operatorVariable has the test's program be the operator's.
const operatorVariable = "TEST_AS_OPERATOR"

func TestMain(m *testing.M) {
	if os.Getenv(operatorVariable) != "" {
		main()
		return
	}
	quiet := logr.FromSlogHandler(slog.DiscardHandler)
	ctrl.SetLogger(quiet)
	klog.SetLogger(quiet)
	aggregationtest.Main(m, func(started *envtest.Environment, config *rest.Config, _ string) (err error) {
		environment = started
		api, err = newClient(config)
		return err
	})
}

func newClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return client.New(config, client.Options{Scheme: scheme})
}
