package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// located is the store that flags name.
type located struct{ dataDir, objectStore string }

// define defines the flags, of which one may be given.
func (l *located) define(flags *flag.FlagSet, dataDirUsage, objectStoreUsage string) {
	both := errors.New("--data-dir and --object-store name two stores: give one of them")
	flags.Func("data-dir", dataDirUsage, func(value string) error {
		if l.dataDir = value; l.objectStore != "" {
			return both
		}
		return nil
	})
	flags.Func("object-store", objectStoreUsage, func(value string) error {
		l.objectStore = value
		switch {
		case value != "" && !strings.Contains(value, "://"):
			return errors.New("write s3://bucket/prefix, gs://bucket/prefix or azblob://container/prefix")
		case value != "" && l.dataDir != "":
			return both
		}
		return nil
	})
}

// locationFlags defines the flags that name a store, and returns what they
// name once they are parsed.
func locationFlags(flags *flag.FlagSet) (location func() string) {
	var l located
	byDefault := config.Default().DataDir
	l.define(flags,
		fmt.Sprintf("the `directory` that holds chain and segments (default %q)", byDefault),
		"the `URL` of the object store that holds them instead, such as s3://bucket/prefix?region=eu-central-1")
	return func() string { return firstOf(l.objectStore, l.dataDir, byDefault) }
}

// storeFlags is locationFlags over what a configuration names.
func storeFlags(flags *flag.FlagSet) (location func(config.Config) string) {
	var l located
	l.define(flags,
		"the `directory` that holds chain and segments, if not the configuration's",
		"the `URL` of the object store that holds them, if not the configuration's")
	return func(cfg config.Config) string {
		return firstOf(l.objectStore, l.dataDir, cfg.ObjectStore.URL, cfg.DataDir)
	}
}

func firstOf(names ...string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}

// checkStored refuses a topic of which nothing is stored; "" stands for all.
func checkStored(ctx context.Context, location, topic string) error {
	if topic == "" {
		return nil
	}
	topics, err := segment.Topics(ctx, location)
	switch {
	case err != nil:
		return err
	case len(topics) == 0:
		return fmt.Errorf("there is no topic %s in %s: nothing is stored there", topic, location)
	case !slices.Contains(topics, topic):
		return fmt.Errorf("there is no topic %s in %s; there are: %s", topic, location, strings.Join(topics, ", "))
	}
	return nil
}
