package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"

	"github.com/logpipeline/logpipeline/ingester"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// role is a command that runs until the process is told to stop.
func role(r config.Role) func(context.Context, []string, output) error {
	return func(ctx context.Context, arguments []string, out output) error {
		flags := flag.NewFlagSet(string(r), flag.ContinueOnError)
		file := flags.String("config", "", "read the configuration from this YAML `file`")
		printConfig := flags.Bool("print-config", false, "print the effective configuration, with every default, and exit")
		override := overrides(flags, r)
		if err := parse(flags, arguments, out); err != nil {
			return err
		}
		cfg, err := config.ReadFile(*file, config.DefaultFor(r))
		if err != nil {
			return err
		}
		override(&cfg)
		if err = cfg.Validate(r); err != nil {
			err = fmt.Errorf("the configuration has mistakes:\n%w", err)
		}
		if *printConfig {
			return show(cfg, err, out)
		}
		if err != nil {
			return err
		}
		logger := slog.New(slog.NewJSONHandler(out.stderr, nil))
		return ingester.Run(ctx, r, cfg, version, logger)
	}
}

// overrides defines the flags for what one sets by hand. What it returns
// applies those that were given over the file's values.
func overrides(flags *flag.FlagSet, r config.Role) func(*config.Config) {
	var given []func(*config.Config)
	define := func(name, usage string, field func(*config.Config) *string) {
		defaults := config.DefaultFor(r)
		usage = fmt.Sprintf("%s (default %q)", usage, *field(&defaults))
		flags.Func(name, usage, func(value string) error {
			given = append(given, func(c *config.Config) { *field(c) = value })
			return nil
		})
	}
	if r != config.RoleConsume {
		define("listen", "take POST /logs at this `address`", func(c *config.Config) *string { return &c.Listen })
	}
	define("admin-listen", "serve /metrics, /healthz and /readyz at this `address`", func(c *config.Config) *string { return &c.AdminListen })
	if r != config.RoleServe {
		define("data-dir", "store segments below this `directory`", func(c *config.Config) *string { return &c.DataDir })
	}
	return func(c *config.Config) {
		for _, apply := range given {
			apply(c)
		}
	}
}

// show prints the configuration, and fails if it has mistakes.
func show(cfg config.Config, mistakes error, out output) error {
	document, err := cfg.Marshal()
	if err == nil {
		_, err = out.stdout.Write(document)
	}
	if err == nil && mistakes != nil {
		err = usageError{mistakes}
	}
	return err
}
