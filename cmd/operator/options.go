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
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers"
)

// imageVariable names the environment variable that --ingester-image defaults
// to.
const imageVariable = "INGESTER_IMAGE"

// options are what the command line says.
type options struct {
	ingesterImage  string
	metricsAddress string
	probeAddress   string
	leaderElect    bool
	namespaces     []string
	logFormat      string
	version        bool
	scaling        scalingOptions
}

func parseOptions(arguments []string, getenv func(string) string, usage io.Writer) (options, error) {
	var o options
	var namespaces string
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&o.ingesterImage, "ingester-image", getenv(imageVariable), "image of the pipelines' pods; default: $"+imageVariable)
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "address of /metrics; 0 serves none")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 serves none")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "reconcile only while holding the lease; needed where two operators may run at once, as in an upgrade")
	flags.StringVar(&namespaces, "watch-namespaces", "", "namespaces to look after, separated by commas; default: all")
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
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "operator.ingest.logpipeline.io",
		LeaderElectionReleaseOnCancel: true,
	}
}
