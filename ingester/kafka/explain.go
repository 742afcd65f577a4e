package kafka

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
)

// Explain makes an error of Admin's methods one of ours: without the method's
// name, and with what a connection that just ended is likely to mean. It wraps
// what err wraps, and nil stays nil.
func (c *Client) Explain(err error) error { return c.hint(WithoutMethod(err)) }

// WithoutMethod takes the name of a method of kafka-go's client, which begins
// the messages of that client, from an error. It means nothing to who reads it.
func WithoutMethod(err error) error {
	if err != nil && strings.HasPrefix(err.Error(), "kafka.(*Client).") {
		if inner := errors.Unwrap(err); inner != nil {
			return inner
		}
	}
	return err
}

// hint adds why a listener may have ended a connection without a word. It means
// little once a broker has answered.
func (c *Client) hint(err error) error {
	var why string
	switch tls, sasl := c.config.TLS.Enabled, c.config.SASL.Mechanism != ""; {
	case c.answered.Load() || !ended(err):
		return err
	case !tls && !sasl:
		why = "ask for TLS or SASL, and kafka.tls and kafka.sasl are not set"
	case !tls:
		why = "ask for TLS, and kafka.tls is not set, or not take the name and password of kafka.sasl"
	case !sasl:
		why = "ask for SASL, and kafka.sasl is not set"
	default:
		why = "not take the name and password of kafka.sasl"
	}
	return fmt.Errorf("%w: the broker ended the connection; its listener may %s", err, why)
}

func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
