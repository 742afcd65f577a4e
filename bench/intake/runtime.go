package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

// goRuntime is what our own metrics say of allocation and collection, since the
// process began.
type goRuntime struct {
	allocations int64 // objects
	collections int64
}

// readRuntime reads the metrics at an admin address. Reading allocates some
// thousand objects itself.
func readRuntime(ctx context.Context, address string) (goRuntime, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return goRuntime{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return goRuntime{}, err
	}
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return goRuntime{}, err
	}
	allocations, err := metric(page, "go_memstats_mallocs_total")
	if err != nil {
		return goRuntime{}, err
	}
	collections, err := metric(page, "go_gc_duration_seconds_count")
	return goRuntime{allocations, collections}, err
}

// metric finds a metric without labels in the text format of Prometheus.
func metric(page []byte, name string) (int64, error) {
	for line := range bytes.Lines(page) {
		if value, found := bytes.CutPrefix(line, []byte(name+" ")); found {
			f, err := strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
			return int64(f), err
		}
	}
	return 0, fmt.Errorf("there is no metric %q", name)
}

// countLines counts the ends of lines in a file.
func countLines(path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	var lines int64
	for buffer := make([]byte, 1<<20); ; {
		n, err := file.Read(buffer)
		lines += int64(bytes.Count(buffer[:n], []byte("\n")))
		if err == io.EOF {
			return lines, nil
		} else if err != nil {
			return 0, err
		}
	}
}
