package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
)

// logLines returns n records of 255 to 257 bytes, as a service logs them.
func logLines(n int) [][]byte {
	lines := make([][]byte, n)
	for i := range lines {
		lines[i] = fmt.Appendf(nil, `{"timestamp":"2026-03-01T12:00:%02d.%06dZ","level":"info","service":"checkout","host":"node-%02d","trace":"4bf92f3577b34da6a3ce929d0e0e%04x","status":%d,"duration_ms":%d.25,"message":"GET /api/v1/carts/%05d/items finished: \"ok\", 3 items, cache warm","retry":false}`,
			i%60, i*7919%1000000, i%32, i, 200+i%4, i%90+10, i)
	}
	return lines
}

func arrayOf(lines [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(lines, []byte{','})...), ']')
}

var benchLimits = Limits{MaxRecordBytes: 1 << 20, MaxDepth: 64}

func BenchmarkParse(b *testing.B) {
	lines := logLines(100)
	formats := []struct {
		name  string
		body  []byte
		parse func(*Batch, []byte, Limits) error
	}{
		{"array", arrayOf(lines), ParseJSON},
		{"lines", bytes.Join(lines, []byte{'\n'}), ParseNDJSON},
	}
	for _, format := range formats {
		b.Run(format.name, func(b *testing.B) {
			b.SetBytes(int64(len(format.body)))
			b.ReportAllocs()
			for b.Loop() {
				var batch Batch
				if err := format.parse(&batch, format.body, benchLimits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("encoding/json.Valid", func(b *testing.B) {
		body := formats[0].body
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if !json.Valid(body) {
				b.Fatal("not valid")
			}
		}
	})
}
