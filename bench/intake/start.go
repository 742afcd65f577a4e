package main

import (
	"context"
	"embed"
	"errors"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/logpipeline/logpipeline/bench/broker"
	"github.com/logpipeline/logpipeline/bench/process"
)

//go:embed configs
var configs embed.FS

// running is a contender that takes requests.
type running struct {
	contender
	setting
	*process.Process
}

// start runs a contender in a folder of its own and waits until it listens.
func (b *bench) start(ctx context.Context, c contender, to *broker.Broker) (*running, error) {
	s, err := b.newSetting(c, to)
	if err != nil {
		return nil, err
	}
	if c.config != "" {
		if err := render(c.config, s); err != nil {
			return nil, err
		}
	}
	program, arguments := filepath.Join(b.binaries, c.program), c.arguments(s)
	if b.profile != "" && c.isOurs() {
		program, arguments = filepath.Join(b.binaries, "profiled"), []string{"--cpu", b.profile, "--config", s.Config}
	}
	p, err := process.Start(filepath.Join(s.Dir, "log"), program, arguments...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := p.AwaitListening(ctx, s.Listen); err != nil {
		return nil, errors.Join(err, p.Stop(time.Second))
	}
	return &running{c, s, p}, nil
}

func (b *bench) newSetting(c contender, to *broker.Broker) (setting, error) {
	dir, err := os.MkdirTemp(b.scratch, c.program+"-")
	if err != nil {
		return setting{}, err
	}
	listen, err := process.FreeAddress()
	if err != nil {
		return setting{}, err
	}
	admin, err := process.FreeAddress()
	if err != nil {
		return setting{}, err
	}
	return setting{
		Dir: dir, Config: filepath.Join(dir, "config.yaml"),
		Listen: listen, Admin: admin, Broker: to.Address, Topic: to.Topic,
		Codec: c.codec, Queued: c.early(), Spool: c.acknowledgement == inSpool, Checked: c.checks,
	}, nil
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

// stop ends the contender and removes what it wrote.
func (r *running) stop() error {
	err := r.Stop(20 * time.Second)
	if err != nil {
		return err // its log stays
	}
	return os.RemoveAll(r.Dir)
}
