package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/prometheus/client_golang/prometheus"
	"gocloud.dev/blob"
)

// OpenObjectStore opens the bucket that a URL names: s3://bucket/prefix,
// gs://bucket/prefix or azblob://container/prefix, with the parameters of
// gocloud.dev's driver of that scheme, which the program must link. Credentials
// are found as the platform's own tools find them. Data grows in files without
// names in the directory staging before it is uploaded.
//
// Two contenders create one object: a store that does not let exactly one of
// them succeed is refused with ErrExclusiveCreateUnsupported. ErrUnavailable says
// that the store gave no answer that decides; try again. Any other error needs
// somebody to act: fs.ErrNotExist is a bucket that is not there.
func OpenObjectStore(ctx context.Context, address, staging string, cfg config.Segment, logger *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	objects, err := openBucket(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open object store %q: %w", address, err)
	}
	s, err := openObjectStore(ctx, objects, staging, cfg, logger, reg)
	if err != nil {
		return nil, fmt.Errorf("open object store %q: %w", address, errors.Join(err, objects.Close()))
	}
	return s, nil
}

func openObjectStore(ctx context.Context, objects *blob.Bucket, staging string, cfg config.Segment, logger *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := os.MkdirAll(staging, 0o755); err != nil {
		return nil, err
	}
	b := newBucket(objects, staging)
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := requireBucket(asking, objects)
	if err == nil {
		err = prove(asking, b)
	}
	if err != nil {
		if passes(err) {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil, err
	}
	return newStore(b, cfg, logger, reg)
}

// requireBucket asks the store for the bucket, before anything is created in it.
func requireBucket(ctx context.Context, objects *blob.Bucket) error {
	there, err := objects.IsAccessible(ctx)
	if err == nil && !there {
		err = fmt.Errorf("the bucket is not there: create it, or correct the URL: %w", fs.ErrNotExist)
	}
	return err
}

// askTimeout bounds what a store is asked before it is used, so that who opens it
// can tell of one that does not answer.
const askTimeout = 10 * time.Second

// tidyTimeout bounds the removal of one file of the contest: a store that does
// not answer keeps nobody from ending.
const tidyTimeout = 2 * time.Second

// prove runs a contest in a store.
func prove(ctx context.Context, s store) error {
	create := func(staged, name string, content []byte) error { return s.create(ctx, staged, name, content) }
	read := func(name string) ([]byte, error) { return readFile(ctx, s, name) }
	remove := func(name string) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
		defer cancel()
		return s.remove(ctx, name)
	}
	return contest{create, read, remove}.run()
}

// openBucket takes the path of the URL as the prefix of all names.
func openBucket(ctx context.Context, address string) (*blob.Bucket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	prefix := strings.Trim(u.Path, "/")
	u.Path, u.RawPath = "", ""
	objects, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, err
	}
	if prefix != "" {
		objects = blob.PrefixedBucket(objects, prefix+"/")
	}
	return objects, nil
}

// openReader opens a store to look at it; see openFiles.
func openReader(ctx context.Context, location string) (from readRemover, done func(), err error) {
	return openFiles(ctx, location)
}

// openFiles opens a data directory that is there, or an object store by its
// URL. What it returns as done ends its use.
func openFiles(ctx context.Context, location string) (files store, done func(), err error) {
	if !strings.Contains(location, "://") {
		info, err := os.Stat(location)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%q is no directory", location)
		}
		return &directory{root: location, link: os.Link}, func() {}, err
	}
	objects, err := openBucket(ctx, location)
	if err != nil {
		return nil, nil, err
	}
	done = func() { _ = objects.Close() } // what is written is complete before
	if err := requireBucket(ctx, objects); err != nil {
		done()
		return nil, nil, err
	}
	return newBucket(objects, ""), done, nil
}
