package segment

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"syscall"

	"gocloud.dev/gcerrors"
)

// Kinds of trouble, as the metrics name them.
const (
	troubleFull        = "full"
	troubleReadOnly    = "read-only"
	troubleRefused     = "refused"     // no permission, no bucket
	troubleSlow        = "slow"        // no answer in time, or asked to slow down
	troubleUnreachable = "unreachable" // no connection
	troubleFailing     = "failing"     // anything else
)

var troubleKinds = []string{troubleFull, troubleReadOnly, troubleRefused, troubleSlow, troubleUnreachable, troubleFailing}

// Codes of object stores that gocloud.dev does not tell apart.
var (
	codesOfFull = []string{"InsufficientStorage", "QuotaExceeded", "StorageFull", "XMinioStorageFull"}
	codesOfSlow = []string{"SlowDown", "Throttling", "RequestLimitExceeded", "RequestTimeout", "ServerBusy"}
	codesOfNo   = []string{"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "NoSuchBucket"}
)

// troubleKind sorts an error of a file system or of an object store.
func troubleKind(err error) string {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
	code := gcerrors.Code(err)
	var named interface{ ErrorCode() string }
	name := ""
	if errors.As(err, &named) {
		name = named.ErrorCode()
	}
	var late interface{ Timeout() bool }
	switch {
	case is(syscall.ENOSPC, syscall.EDQUOT) || slices.Contains(codesOfFull, name):
		return troubleFull
	case is(syscall.EROFS):
		return troubleReadOnly
	case is(fs.ErrPermission) || code == gcerrors.PermissionDenied || slices.Contains(codesOfNo, name):
		return troubleRefused
	case is(context.DeadlineExceeded) || code == gcerrors.ResourceExhausted || slices.Contains(codesOfSlow, name) || errors.As(err, &late) && late.Timeout():
		return troubleSlow
	case isOfNetwork(err):
		return troubleUnreachable
	default:
		return troubleFailing
	}
}

// passes reports whether a store's failure goes away without anybody's deciding
// about the configuration.
func passes(err error) bool {
	switch troubleKind(err) {
	case troubleFull, troubleReadOnly, troubleSlow, troubleUnreachable:
		return true
	}
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		status := answer.HTTPStatusCode()
		return status >= http.StatusInternalServerError && status != http.StatusNotImplemented
	}
	return errors.Is(err, errUndecided) || errors.Is(err, context.Canceled)
}

// isOfNetwork: net.Error will not do, since any syscall.Errno is one.
func isOfNetwork(err error) bool {
	var request *url.Error
	var operation *net.OpError
	var lookup *net.DNSError
	return errors.As(err, &request) || errors.As(err, &operation) || errors.As(err, &lookup)
}
