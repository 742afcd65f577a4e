// Command demo runs LogPipeline's main job on a cluster and prints it as it
// goes: operator installed, pipeline applied, fed with the cluster's own logs,
// stored, proven.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

type demo struct {
	cluster  scenario.Cluster
	images   scenario.Images
	pipeline scenario.Pipeline
	logs     string
	feedFor  time.Duration
	began    time.Time
	step     int
}

const steps = 6

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := parseFlags().run(ctx)
	interrupted := ctx.Err() != nil
	stop()
	if interrupted {
		err = errors.New("interrupted; what was started goes on: make demo-down removes it")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

func parseFlags() *demo {
	d := &demo{began: time.Now(), pipeline: scenario.Pipeline{Name: "demo", Namespace: "logpipeline-demo", Partitions: 4, DeletionPolicy: "Retain"}}
	flag.StringVar(&d.cluster.Kubeconfig, "kubeconfig", "", "the cluster's kubeconfig")
	flag.StringVar(&d.cluster.Kubectl, "kubectl", "kubectl", "kubectl to use")
	flag.StringVar(&d.cluster.Helm, "helm", "helm", "helm to use")
	flag.StringVar(&d.pipeline.Brokers, "brokers", "", "the brokers' addresses, as pods reach them")
	flag.StringVar(&d.logs, "logs", "", "the folder of the cluster components' logs")
	flag.StringVar(&d.images.Operator, "operator-image", "", "the operator's image")
	flag.StringVar(&d.images.Ingester, "ingester-image", "", "the ingester's image")
	flag.DurationVar(&d.feedFor, "feed-for", 15*time.Second, "how long to follow the logs")
	flag.Parse()
	return d
}

func (d *demo) run(ctx context.Context) error {
	d.say("asking the brokers (%s) from a pod", d.pipeline.Brokers)
	if err := d.checkBroker(ctx); err != nil {
		return err
	}
	d.say("installing the operator with helm")
	if err := d.cluster.Install(ctx, "charts/logpipeline", d.images); err != nil {
		return err
	}
	d.say("applying a LogPipeline and waiting until it is Ready")
	fmt.Print(indent(d.pipeline.Manifest()))
	if err := d.cluster.Start(ctx, d.pipeline); err != nil {
		return err
	}
	before, err := d.cluster.Verify(ctx, d.pipeline)
	if err != nil {
		return err
	}
	fed, err := d.feed(ctx)
	if err != nil {
		return err
	}
	d.say("waiting until what was acknowledged is stored")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stored, err := d.cluster.AwaitStored(ctx, d.pipeline, before.Records+fed.Records)
	if err != nil {
		return err
	}
	return d.show(ctx, fed, before, stored)
}

func (d *demo) checkBroker(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := d.cluster.EnsureNamespace(ctx, d.pipeline); err != nil {
		return err
	}
	said, err := d.cluster.CheckBroker(ctx, d.pipeline.Namespace, d.images, d.pipeline.Brokers)
	fmt.Print(indent(said))
	return err
}

// feed ships the components' logs while the cluster goes on writing them.
func (d *demo) feed(ctx context.Context) (scenario.Fed, error) {
	d.say("feeding it the JSON logs of this cluster's components for %s", d.feedFor)
	url, stop, err := d.cluster.Forward(ctx, d.pipeline)
	if err != nil {
		return scenario.Fed{}, err
	}
	defer stop()
	shipper := &scenario.Shipper{URL: url, BatchRecords: 100}
	defer func() { _ = shipper.Close() }()
	for _, component := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		if err := shipper.Follow(filepath.Join(d.logs, component+".log")); err != nil {
			return scenario.Fed{}, err
		}
	}
	for until := time.Now().Add(d.feedFor); time.Now().Before(until); {
		if err := shipper.Ship(ctx, time.Now().Add(3*time.Second)); err != nil {
			return scenario.Fed{}, err
		}
		fmt.Printf("      %d records acknowledged in %d requests\n", shipper.Fed().Records, shipper.Fed().Requests)
	}
	fed := shipper.Fed()
	fmt.Printf("      some receipts:\n%s", indent(strings.Join(sample(fed.Receipts), "\n")))
	return fed, nil
}

func (d *demo) show(ctx context.Context, fed scenario.Fed, before, stored scenario.Stored) error {
	d.say("the result, %s after the start", time.Since(d.began).Round(time.Second))
	for _, part := range []struct {
		title string
		text  func() (string, error)
	}{
		{"kubectl get lp -A", func() (string, error) { return d.cluster.Run(ctx, "get", "lp", "-A") }},
		{"kubectl get pods -n " + d.pipeline.Namespace, func() (string, error) {
			return d.cluster.Run(ctx, "get", "pods", "-n", d.pipeline.Namespace)
		}},
		{"the first lines that are stored", func() (string, error) { return d.cluster.FirstRecords(ctx, d.pipeline, 3) }},
		{"ingester verify", func() (string, error) { return d.cluster.VerifyText(ctx, d.pipeline) }},
	} {
		text, err := part.text()
		if err != nil {
			return err
		}
		fmt.Printf("\n    %s\n%s", part.title, indent(text))
	}
	fmt.Printf("\n    sent and acknowledged: %d records (%d lines that aren't JSON were not sent)\n", fed.Records, fed.Skipped)
	fmt.Printf("    stored and proven:     %d records (%d before this run)\n", stored.Records-before.Records, before.Records)
	fmt.Printf("\nLook around with:  export KUBECONFIG=%s\nRemove it all with: make demo-down\n", d.cluster.Kubeconfig)
	return nil
}

func (d *demo) say(format string, arguments ...any) {
	d.step++
	fmt.Printf("\n[%d/%d] %s\n", d.step, steps, fmt.Sprintf(format, arguments...))
}

func sample(receipts []string) []string {
	if len(receipts) <= 3 {
		return receipts
	}
	return []string{receipts[0], receipts[len(receipts)/2], receipts[len(receipts)-1]}
}

func indent(text string) string {
	const margin = "      "
	return margin + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+margin) + "\n"
}
