package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/logpipeline/logpipeline/bench/process"
	"github.com/logpipeline/logpipeline/bench/report"
)

//go:embed configs
var configs embed.FS

// running is a contender at work.
type running struct {
	contender
	setting
	*process.Process
	began time.Time
}

// start runs a contender in a folder of its own, as the only member of a group
// that there was never before.
func (b *bench) start(c contender) (*running, error) {
	s, err := b.newSetting(c)
	if err != nil {
		return nil, err
	}
	if c.config != "" {
		if err := render(c.config, s); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	p, err := process.Start(filepath.Join(s.Dir, "log"), filepath.Join(b.binaries, c.program), c.arguments(s)...)
	if err != nil {
		return nil, err
	}
	return &running{c, s, p, began}, nil
}

func (b *bench) newSetting(c contender) (setting, error) {
	dir, err := os.MkdirTemp(b.scratch, c.program+"-")
	if err != nil {
		return setting{}, err
	}
	admin, err := process.FreeAddress()
	if err != nil {
		return setting{}, err
	}
	s := setting{
		Dir: dir, Config: filepath.Join(dir, "config"),
		Data: filepath.Join(dir, "data"), File: filepath.Join(dir, "out", "records.ndjson"),
		Admin: admin, Broker: b.kafka, Topic: b.topics[c.topic].Topic,
		Group: fmt.Sprintf("bench-storage-%d", time.Now().UnixNano()), Codec: c.stored,
	}
	return s, os.Mkdir(filepath.Dir(s.File), 0o755)
}

func render(name string, s setting) error {
	t, err := template.ParseFS(configs, "configs/"+name)
	if err != nil {
		return err
	}
	file, err := os.Create(s.Config)
	if err != nil {
		return err
	}
	return errors.Join(t.Execute(file, s), file.Close())
}

// verify has ours prove what it has stored, and returns how many records that
// are.
func (r *running) verify(ctx context.Context, binaries string) (records int64, err error) {
	verified, err := report.Verify(ctx, filepath.Join(binaries, r.program), r.Data)
	return verified.Records, err
}
