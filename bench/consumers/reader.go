package main

import (
	"bufio"
	"context"
	"errors"
	"os"
)

const bufferBytes = 256 << 10

// consumeBuffered is the plain way: what was read is in the file before its
// offset is committed, though not fsynced.
func consumeBuffered(ctx context.Context, s settings) (err error) {
	file, err := os.OpenFile(s.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	reader := newReader(s)
	defer func() { err = errors.Join(err, reader.Close()) }()
	for buffer := bufio.NewWriterSize(file, bufferBytes); ; {
		batch, err := readBatch(ctx, reader)
		if err != nil {
			return err
		}
		for _, m := range batch {
			if _, err := buffer.Write(append(m.Value, '\n')); err != nil {
				return err
			}
		}
		if err := buffer.Flush(); err != nil {
			return err
		}
		if err := reader.CommitMessages(ctx, batch...); err != nil {
			return err
		}
	}
}
