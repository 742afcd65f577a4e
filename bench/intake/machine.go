package main

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine is what figures must be quoted with.
type machine struct {
	CPU    string    `json:"cpu"`
	Cores  int       `json:"cores"`
	Kernel string    `json:"kernel"`
	Go     string    `json:"go"`
	Time   time.Time `json:"time"`
	// LoadAverage of a machine that does nothing else is about the cores that
	// the run itself keeps busy.
	LoadAverage string `json:"loadAverage"`
}

func thisMachine() machine {
	return machine{
		CPU:         cpuModel(),
		Cores:       runtime.NumCPU(),
		Kernel:      read("/proc/sys/kernel/osrelease"),
		Go:          runtime.Version(),
		Time:        time.Now().UTC().Truncate(time.Second),
		LoadAverage: read("/proc/loadavg"),
	}
}

func cpuModel() string {
	for line := range strings.Lines(read("/proc/cpuinfo")) {
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
	return string(bytes.TrimSpace(content))
}
