package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseOptions(t *testing.T) {
	tests := map[string]struct {
		arguments []string
		image     string // in the environment
		want      options
	}{
		"image from the environment": {
			nil, "registry/ingester:1",
			options{ingesterImage: "registry/ingester:1", metrics: metricsOptions{address: ":8443", secure: true}, probeAddress: ":8081", pprofAddress: "0", concurrency: 8, logFormat: "text", scaling: scalingOptions{address: ":6443"}},
		},
		"flag over environment": {
			[]string{"--ingester-image=registry/ingester:2"}, "registry/ingester:1",
			options{ingesterImage: "registry/ingester:2", metrics: metricsOptions{address: ":8443", secure: true}, probeAddress: ":8081", pprofAddress: "0", concurrency: 8, logFormat: "text", scaling: scalingOptions{address: ":6443"}},
		},
		"everything": {
			[]string{"--metrics-bind-address=0", "--health-probe-bind-address=:1", "--leader-elect", "--watch-namespaces=a, b", "--log-format=json", "--metrics-api-bind-address=:2", "--metrics-secure=false", "--max-concurrent-reconciles=3", "--pprof-bind-address=127.0.0.1:6060"}, "i",
			options{ingesterImage: "i", metrics: metricsOptions{address: "0"}, probeAddress: ":1", pprofAddress: "127.0.0.1:6060", concurrency: 3, leaderElect: true, namespaces: []string{"a", "b"}, logFormat: "json", scaling: scalingOptions{address: ":2"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseOptions(test.arguments, func(name string) string { return map[string]string{imageVariable: test.image}[name] }, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(options{}, metricsOptions{}, scalingOptions{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	tests := map[string]struct {
		arguments []string
		says      string
	}{
		"no image":        {nil, "INGESTER_IMAGE"},
		"log format":      {[]string{"--ingester-image=i", "--log-format=xml"}, `--log-format is "xml": choose text or json`},
		"stray argument":  {[]string{"--ingester-image=i", "run"}, `unexpected argument "run"`},
		"no reconciles":   {[]string{"--ingester-image=i", "--max-concurrent-reconciles=0"}, "--max-concurrent-reconciles is 0: choose 1 to 100"},
		"many reconciles": {[]string{"--ingester-image=i", "--max-concurrent-reconciles=101"}, "--max-concurrent-reconciles is 101"},
		"useless folder":  {[]string{"--ingester-image=i", "--metrics-secure=false", "--metrics-certificate-dir=/x"}, "--metrics-secure is false: leave one of them out"},
		"unknown flag":    {[]string{"--no-such-flag"}, "no-such-flag"},
		"value of a bool": {[]string{"--leader-elect=often"}, "leader-elect"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseOptions(test.arguments, func(string) string { return "" }, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %v, want it to say %q", err, test.says)
			}
		})
	}
}

func TestHelpAndVersionNeedNoImage(t *testing.T) {
	var usage bytes.Buffer
	if _, err := parseOptions([]string{"--help"}, func(string) string { return "" }, &usage); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
	if !strings.Contains(usage.String(), "watch-namespaces") {
		t.Errorf("usage is %q", usage.String())
	}
	if o, err := parseOptions([]string{"--version"}, func(string) string { return "" }, io.Discard); err != nil || !o.version {
		t.Errorf("--version: %+v, %v", o, err)
	}
}

func TestLogFormats(t *testing.T) {
	tests := map[string]string{"json": `"msg":"hello"`, "text": "msg=hello"}
	for format, want := range tests {
		var log bytes.Buffer
		options{logFormat: format}.logger(&log).Info("hello")
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s: %q", format, log.String())
		}
	}
}
