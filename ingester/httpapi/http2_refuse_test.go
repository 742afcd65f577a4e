package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A client that is told to stop sending before it has sent its body may take
// that for the end of the response, too: as curl does. So the refusal comes
// first, and the stream ends when the body has.
func TestHTTP2RefusalsAreWholeBeforeAStreamEnds(t *testing.T) {
	p := startPod(t, newAccounts(), nil)
	for _, tt := range []struct {
		name, contentType string
		size              int
		status            string
	}{
		{"small", "text/plain", 100 << 10, "415"},
		{"large", "text/plain", 1 << 20, "415"},
		{"larger than the limit", "application/json", 1<<20 + 300<<10, "413"},
	} {
		for _, declared := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, declared %v", tt.name, declared), func(t *testing.T) {
				s := openStream(t, p.address)
				length := ""
				if declared {
					length = fmt.Sprint(tt.size)
				}
				s.begin(t, tt.contentType, length)
				s.sendAll(t, []byte(strings.Repeat(" ", tt.size)))
				if err := s.readUntilEnd(); err != nil || s.status != tt.status || !bytes.Contains(s.body, []byte(problemBase)) {
					t.Errorf("status %q, %q, %v", s.status, s.body, err)
				}
			})
		}
	}
}

// rawStream is a client's only stream of HTTP/2, frame by frame.
type rawStream struct {
	framer     *http2.Framer
	connection int64 // window, in bytes
	stream     int64
	status     string
	body       []byte
	ended      bool
}

func openStream(t *testing.T, address string) *rawStream {
	w := (&intake{address: address}).dial(t)
	w.write(t, http2.ClientPreface)
	s := &rawStream{framer: http2.NewFramer(w, w.reader), connection: 65535, stream: 65535}
	s.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := s.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *rawStream) begin(t *testing.T, contentType, length string) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":authority", "logs"}, {":path", "/logs"},
		{"content-type", contentType}, {"content-length", length},
	} {
		if f[1] == "" {
			continue
		}
		if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
}

// sendAll sends the whole body, whatever is answered meanwhile.
func (s *rawStream) sendAll(t *testing.T, body []byte) {
	for len(body) > 0 {
		room := min(s.connection, s.stream, 16<<10, int64(len(body)))
		if room == 0 {
			if err := s.read(); err != nil {
				t.Fatalf("%d bytes were not sent: %v; status %q", len(body), err, s.status)
			}
			continue
		}
		if err := s.framer.WriteData(1, int(room) == len(body), body[:room]); err != nil {
			t.Fatal(err)
		}
		body, s.connection, s.stream = body[room:], s.connection-room, s.stream-room
	}
}

func (s *rawStream) readUntilEnd() error {
	for !s.ended {
		if err := s.read(); err != nil {
			return err
		}
	}
	return nil
}

// read takes one frame.
func (s *rawStream) read() error {
	frame, err := s.framer.ReadFrame()
	if err != nil {
		return err
	}
	switch f := frame.(type) {
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			s.connection += int64(f.Increment)
		} else {
			s.stream += int64(f.Increment)
		}
	case *http2.SettingsFrame:
		if window, given := f.Value(http2.SettingInitialWindowSize); given {
			s.stream += int64(window) - 65535
		}
		if !f.IsAck() {
			return s.framer.WriteSettingsAck()
		}
	case *http2.MetaHeadersFrame:
		s.status, s.ended = f.PseudoValue("status"), f.StreamEnded()
	case *http2.DataFrame:
		s.body, s.ended = append(s.body, f.Data()...), f.StreamEnded()
	case *http2.RSTStreamFrame:
		return fmt.Errorf("the stream is reset: %v", f.ErrCode)
	case *http2.GoAwayFrame:
		return errors.Join(io.EOF, fmt.Errorf("the connection ends: %v", f.ErrCode))
	}
	return nil
}
