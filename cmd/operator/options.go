package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers"
)

// imageVariable names the environment variable that --ingester-image defaults
// to.
const imageVariable = "INGESTER_IMAGE"

// options are what the command line says.
type options struct {
	ingesterImage string
	probeAddress  string
	pprofAddress  string
	leaderElect   bool
	namespaces    []string
	concurrency   int
	logFormat     string
	version       bool
	metrics       metricsOptions
	scaling       scalingOptions
}

// metricsOptions say how /metrics is served.
type metricsOptions struct {
	address string
	// secure serves HTTPS, to those alone whom the API server lets get /metrics.
	secure bool
	// certificates is the folder of tls.crt and tls.key; without it, the
	// operator signs a certificate for itself.
	certificates string
}

// mostConcurrent is more than a Kafka cluster and an API server would thank for.
const mostConcurrent = 100

func parseOptions(arguments []string, getenv func(string) string, usage io.Writer) (options, error) {
	var o options
	var namespaces string
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&o.ingesterImage, "ingester-image", getenv(imageVariable), "image of the pipelines' pods; default: $"+imageVariable)
	flags.StringVar(&o.metrics.address, "metrics-bind-address", ":8443", "address of /metrics; 0 serves none")
	flags.BoolVar(&o.metrics.secure, "metrics-secure", true, "serve /metrics by HTTPS, to those alone whom the API server lets get it; otherwise by HTTP to everybody")
	flags.StringVar(&o.metrics.certificates, "metrics-certificate-dir", "", "folder of the tls.crt and tls.key that /metrics is served with, read anew when they change; default: one that the operator signs for itself")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 serves none")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "reconcile only while holding the lease; needed where two operators may run at once, as in an upgrade")
	flags.StringVar(&namespaces, "watch-namespaces", "", "namespaces to look after, separated by commas; default: all")
	flags.IntVar(&o.concurrency, "max-concurrent-reconciles", controllers.DefaultConcurrency, "pipelines that are reconciled at the same time")
	flags.StringVar(&o.pprofAddress, "pprof-bind-address", "0", "address of /debug/pprof, such as 127.0.0.1:6060, which asks nobody who he is; 0 serves none")
	flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	o.scaling.register(flags, getenv)
	ctrlconfig.RegisterFlags(flags)
	if err := flags.Parse(arguments); err != nil {
		return options{}, err
	}
	o.scaling.kubeconfig = flags.Lookup(ctrlconfig.KubeconfigFlagName).Value.String()
	o.namespaces = strings.FieldsFunc(namespaces, func(r rune) bool { return r == ',' || r == ' ' })
	return o, o.validate(flags.Args())
}

func (o options) validate(rest []string) error {
	switch {
	case o.version:
		return nil
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q: there are flags only, see --help", rest[0])
	case o.ingesterImage == "":
		return fmt.Errorf("--ingester-image is empty: name the image of the pipelines' pods, or set %s", imageVariable)
	case o.logFormat != "text" && o.logFormat != "json":
		return fmt.Errorf("--log-format is %q: choose text or json", o.logFormat)
	case o.concurrency < 1 || o.concurrency > mostConcurrent:
		return fmt.Errorf("--max-concurrent-reconciles is %d: choose 1 to %d", o.concurrency, mostConcurrent)
	case o.metrics.certificates != "" && !o.metrics.secure:
		return fmt.Errorf("--metrics-certificate-dir is %q, but --metrics-secure is false: leave one of them out", o.metrics.certificates)
	default:
		return o.scaling.validate()
	}
}

func (o options) logger(w io.Writer) logr.Logger {
	if o.logFormat == "json" {
		return logr.FromSlogHandler(slog.NewJSONHandler(w, nil))
	}
	return logr.FromSlogHandler(slog.NewTextHandler(w, nil))
}

func (o options) manager() ctrl.Options {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return ctrl.Options{
		Scheme:                        scheme,
		Cache:                         controllers.CacheOptions(o.namespaces),
		Metrics:                       o.metrics.server(),
		HealthProbeBindAddress:        o.probeAddress,
		PprofBindAddress:              o.pprofAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "operator.ingest.logpipeline.io",
		LeaderElectionNamespace:       o.scaling.namespace, // empty: the pod's own
		LeaderElectionReleaseOnCancel: true,
	}
}

// server takes the rights to create TokenReviews and SubjectAccessReviews, as
// the metrics for autoscalers do.
func (o metricsOptions) server() metricsserver.Options {
	options := metricsserver.Options{BindAddress: o.address, SecureServing: o.secure, CertDir: o.certificates}
	if o.secure {
		options.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	return options
}
