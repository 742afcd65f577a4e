// Command operator measures what the operator costs as the number of
// LogPipelines grows: on an API server with its controller manager, with pods
// that are played, and one real Kafka.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/logpipeline/logpipeline/bench/report"
)

// options are what a run is made of.
type options struct {
	binaries   string
	operator   string
	config     string
	kafka      string
	sizes      []int
	namespaces int
	partitions int
	patience   time.Duration
	settle     time.Duration
	window     time.Duration
	json       string
	logs       string
	pprof      string
	check      bool
}

func main() {
	klog.SetLogger(logr.Discard())
	ctrl.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	o, err := parse()
	if err == nil {
		err = run(ctx, o)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "operator: %v\n", err)
		os.Exit(1)
	}
}

func parse() (options, error) {
	var o options
	flag.StringVar(&o.binaries, "bin", ".build/bin", "`folder` of etcd, kube-apiserver and kube-controller-manager")
	flag.StringVar(&o.operator, "operator", "", "`path` of the operator; default: in the folder --bin")
	flag.StringVar(&o.config, "config", "config", "`folder` of the CRD and the operator's roles")
	flag.StringVar(&o.kafka, "kafka", os.Getenv("KAFKA_BOOTSTRAP"), "`address` of a real Kafka of one node")
	sizes := flag.String("pipelines", "10,100,1000", "`numbers` of LogPipelines, one run each")
	flag.IntVar(&o.namespaces, "namespaces", 50, "that the LogPipelines are spread over")
	flag.IntVar(&o.partitions, "partitions", 3, "of each topic")
	flag.DurationVar(&o.patience, "patience", 10*time.Minute, "until all are Ready")
	flag.DurationVar(&o.settle, "settle", time.Minute, "between all Ready and the first measuring")
	flag.DurationVar(&o.window, "window", 2*time.Minute, "each measuring")
	flag.StringVar(&o.json, "json", "", "`file` for all figures")
	flag.StringVar(&o.logs, "logs", "", "`folder` for logs, kept; default: a temporary one")
	flag.StringVar(&o.pprof, "pprof", "0", "`address` at which the operator serves its profiles")
	flag.BoolVar(&o.check, "check", false, "fail when a goal is missed")
	quick := flag.Bool("quick", false, "a look of a minute and a half: 10 LogPipelines, 15 s each measuring")
	flag.Parse()
	if *quick {
		*sizes, o.settle, o.window = "10", 15*time.Second, 15*time.Second
	}
	if o.operator == "" {
		o.operator = o.binaries + "/operator"
	}
	if o.kafka == "" {
		return o, errors.New("--kafka is empty: give the address of a running Kafka, or KAFKA_BOOTSTRAP")
	}
	for field := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return o, fmt.Errorf("--pipelines is %q: want whole numbers above 0, separated by commas", *sizes)
		}
		o.sizes = append(o.sizes, n)
	}
	return o, nil
}

func run(ctx context.Context, o options) (err error) {
	if o.logs == "" {
		if o.logs, err = os.MkdirTemp("", "bench-operator"); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.logs, 0o755); err != nil {
		return err
	}
	var results []result
	for _, n := range o.sizes {
		r, err := o.measure(ctx, n)
		if err != nil {
			return fmt.Errorf("%d LogPipelines: %w; logs are in %s", n, err, o.logs)
		}
		results = append(results, r)
	}
	if err := printTable(os.Stdout, results); err != nil {
		return err
	}
	reached := report.PrintGoals(os.Stdout, goals(results))
	if err := report.Write(o.json, results); err != nil {
		return err
	}
	if o.check && !reached {
		return errors.New("a goal was missed")
	}
	return nil
}
