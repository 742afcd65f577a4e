// Package machine says what a benchmark ran on: figures mean little without it.
package machine

import (
	"os"
	"runtime"
	"strings"
	"time"
)

// Machine is what figures must be quoted with.
type Machine struct {
	CPU    string    `json:"cpu"`
	Cores  int       `json:"cores"`
	Kernel string    `json:"kernel"`
	Go     string    `json:"go"`
	Time   time.Time `json:"time"`
	// LoadAverage of a machine that does nothing else is about the cores that
	// the run itself keeps busy.
	LoadAverage string `json:"loadAverage"`
}

// This describes the machine and the moment of the call.
func This() Machine {
	return Machine{
		CPU:         cpuModel(read("/proc/cpuinfo")),
		Cores:       runtime.NumCPU(),
		Kernel:      read("/proc/sys/kernel/osrelease"),
		Go:          runtime.Version(),
		Time:        time.Now().UTC().Truncate(time.Second),
		LoadAverage: read("/proc/loadavg"),
	}
}

func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// read returns "" for what can't be read.
func read(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}
