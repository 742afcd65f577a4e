package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/mounted"
)

// bearerTokens makes secrets of a directory that has a file for each client,
// named after it, with its token (RFC 6750).
func bearerTokens(dir string) func([]mounted.File) ([]secret, error) {
	return secretsOf(dir, func(path, client, token string) (string, error) {
		if strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return "", fmt.Errorf("%s: a bearer token is one word of ASCII characters", path)
		}
		return token, nil
	})
}

// basicCredentials makes secrets of a directory that has a file for each user,
// named after it, with the password. A client sends both as one base64 text
// (RFC 7617), so that is the secret.
func basicCredentials(dir string) func([]mounted.File) ([]secret, error) {
	return secretsOf(dir, func(path, user, password string) (string, error) {
		if strings.Contains(user, ":") {
			return "", fmt.Errorf("%s: a user's name can't have a colon", path)
		}
		if strings.ContainsFunc(password, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return "", fmt.Errorf("%s: a password is one line without control characters", path)
		}
		return base64.StdEncoding.EncodeToString([]byte(user + ":" + password)), nil
	})
}

// openSecrets reads a directory of secrets and has files keep them up to date.
// A client whose file is bad is left out; it is an error only if nobody is left.
func openSecrets(files *mounted.Watcher, name string, parse func([]mounted.File) ([]secret, error), dir string) (*mounted.Value[[]secret], error) {
	secrets, err := mounted.Open(files, name, parse, dir)
	var partial *mounted.Partial
	if errors.As(err, &partial) && len(secrets.Get()) > 0 {
		return secrets, nil
	}
	return secrets, err
}

// secretsOf makes of each file the secret that presented says a client will
// present. A file that is bad concerns nobody else: a client whose file was
// removed beside it is gone. Without any file nobody is let in.
func secretsOf(dir string, presented func(path, client, content string) (string, error)) func([]mounted.File) ([]secret, error) {
	return func(files []mounted.File) ([]secret, error) {
		var bad mounted.Partial
		if len(files) == 0 {
			bad.Errs = append(bad.Errs, fmt.Errorf("%s holds no files: put one there for each client, named after it", dir))
		}
		secrets := make([]secret, 0, len(files))
		for _, file := range files {
			one, err := secretOf(file, presented)
			if err != nil {
				bad.Errs = append(bad.Errs, err)
				continue
			}
			secrets = append(secrets, one)
		}
		if len(bad.Errs) > 0 {
			return secrets, &bad
		}
		return secrets, nil
	}
}

func secretOf(file mounted.File, presented func(path, client, content string) (string, error)) (secret, error) {
	if file.Err != nil {
		return secret{}, file.Err
	}
	client, content := filepath.Base(file.Path), strings.TrimRight(string(file.Content), "\r\n")
	if content == "" {
		return secret{}, fmt.Errorf("%s is empty: it should hold what its client has to present", file.Path)
	}
	text, err := presented(file.Path, client, content)
	return secret{client, sha256.Sum256([]byte(text))}, err
}
