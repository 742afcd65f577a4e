package main

import (
	"fmt"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// version is set by the linker.
var version = "dev"

// build is what runs.
type build struct{ version, commit, compiler string }

// currentBuild reads what the compiler has noted in the binary. The commit is
// not known where the sources were built without their repository.
func currentBuild() build {
	b := build{version: version, commit: "unknown"}
	info, found := debug.ReadBuildInfo()
	if !found {
		return b
	}
	b.compiler = info.GoVersion
	changed := ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			b.commit = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			changed = "-dirty"
		}
	}
	b.commit += changed
	return b
}

func (b build) String() string {
	return fmt.Sprintf("%s (commit %s, %s)", b.version, b.commit, b.compiler)
}

// info is a metric that is always 1.
func (b build) info() prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "logpipeline_operator_build_info",
		Help:        "1, labelled with the version that runs, its commit and its compiler.",
		ConstLabels: prometheus.Labels{"version": b.version, "commit": b.commit, "go_version": b.compiler},
	})
	info.Set(1)
	return info
}
