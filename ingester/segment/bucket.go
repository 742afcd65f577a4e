package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/semaphore"
)

const (
	// requestTimeout bounds one request about a small file.
	requestTimeout = 30 * time.Second
	// moveTimeout bounds the upload of a segment and its copy by the server.
	moveTimeout = 10 * time.Minute

	// partBytes and partsAtOnce bound what the upload of a large segment holds
	// in memory. S3 takes no smaller parts.
	partBytes   = 5 << 20
	partsAtOnce = 1
	// uploadBytes bounds it for all uploads together. The S3 client holds a
	// segment of up to 16 MiB as a whole, and copies it once; of a larger one the
	// same, and then some parts.
	uploadBytes    = 32 << 20
	leastForUpload = 1 << 20

	createAttempts = 5
	firstPause     = 100 * time.Millisecond
)

// bucket is an object store. Data is staged twice: on the local disk while it
// grows, and in the bucket before it is sealed.
type bucket struct {
	objects *blob.Bucket
	local   string              // directory for data that grows; empty where none is written
	uploads *semaphore.Weighted // bytes
}

func newBucket(objects *blob.Bucket, local string) *bucket {
	return &bucket{objects: objects, local: local, uploads: semaphore.NewWeighted(uploadBytes)}
}

// open leaves the time that reading takes to its caller's context.
func (b *bucket) open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := b.objects.NewReader(ctx, name, nil)
	if err != nil {
		return nil, translate(err)
	}
	return r, nil
}

func (b *bucket) list(ctx context.Context, folder, prefix string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		objects := b.objects.List(&blob.ListOptions{Prefix: folder + "/" + prefix, Delimiter: "/"})
		for {
			object, err := objects.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(entry{}, translate(err))
				return
			}
			if !yield(entry{path.Base(object.Key), object.IsDir}, nil) {
				return
			}
		}
	}
}

// create is one put with If-None-Match: *. It is tried again when the outcome
// is unknown, after 409 (another create of the name was under way) and after
// the store's own failures: a put that got through all the same makes the next
// one find the name taken, and its owner is told by the content.
func (b *bucket) create(ctx context.Context, _, name string, content []byte) error {
	for attempt := 1; ; attempt++ {
		err := b.put(ctx, name, content, true)
		switch gcerrors.Code(err) {
		case gcerrors.OK:
			return nil
		case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
			return fmt.Errorf("%w: %w", fs.ErrExist, err)
		case gcerrors.PermissionDenied, gcerrors.NotFound, gcerrors.InvalidArgument:
			if attempt == 1 {
				err = fmt.Errorf("%w: %w", errRefused, err)
			}
			return err
		}
		if attempt == createAttempts || !pause(ctx, firstPause<<(attempt-1)) {
			return err
		}
	}
}

func (b *bucket) replace(ctx context.Context, _, name string, content []byte) error {
	return b.put(ctx, name, content, false)
}

func (b *bucket) put(ctx context.Context, name string, content []byte, exclusive bool) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return b.objects.WriteAll(ctx, name, content, &blob.WriterOptions{ContentType: "application/json", IfNotExist: exclusive})
}

func (b *bucket) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := b.objects.Delete(ctx, name); gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}
	return nil
}

// pause reports whether it has waited; false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func translate(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// publish copies within the bucket and removes the staged object. The copy is
// tried before anything is asked: it is what has to be done after a seal, and
// where it was done already the staged object is not found.
func (b *bucket) publish(ctx context.Context, _ string, link Link) error {
	if link.Records == 0 {
		return nil
	}
	copying, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	err := b.objects.Copy(copying, link.DataPath, link.Staged, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return b.confirmPublished(ctx, link)
	}
	if err != nil {
		return err
	}
	return b.remove(ctx, link.Staged)
}

func (b *bucket) confirmPublished(ctx context.Context, link Link) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	published, err := b.objects.Exists(ctx, link.DataPath)
	if err == nil && !published {
		err = errMissing
	}
	return err
}

// stage creates a local file without a name, so that nothing is left of it
// when the process dies.
func (b *bucket) stage(name string) (stagedData, error) {
	f, err := os.CreateTemp(b.local, strings.ReplaceAll(path.Base(name), "*", "")+"-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &upload{File: f, bucket: b, name: name}, nil
}

type upload struct {
	*os.File
	bucket *bucket
	name   string
}

// finish uploads the data. The object appears complete or not at all.
func (u *upload) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	size, err := u.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	held := min(leastForUpload+2*size, uploadBytes)
	if err := u.bucket.uploads.Acquire(ctx, held); err != nil {
		return err
	}
	defer u.bucket.uploads.Release(held)
	if _, err := u.Seek(0, io.SeekStart); err != nil {
		return err
	}
	options := &blob.WriterOptions{ContentType: "application/octet-stream", BufferSize: partBytes, MaxConcurrency: partsAtOnce}
	// Only the file's Read is shown: an SDK that sees more may keep the file.
	if err := u.bucket.objects.Upload(ctx, u.name, struct{ io.Reader }{u.File}, options); err != nil {
		return err
	}
	return u.Close()
}

func (u *upload) drop() error {
	_ = u.Close() // its content is given up
	return nil
}
