package httpapi

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A flood of refusals is a line in ten seconds for each reason, which says how
// many there were.
func TestRefusalsAreLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		log := newRefusalLog(slog.New(slog.NewTextHandler(&logged, nil)))
		r := (&http.Request{RemoteAddr: "10.1.7.23:4711"}).WithContext(t.Context())
		for range 25 {
			log.note(r, newProblem(queueFull, "no room"), "shipper")
			log.note(r, newProblem(unauthorized, "who?"), "")
			time.Sleep(time.Second)
		}
		text := logged.String()
		if n := strings.Count(text, "\n"); n != 6 {
			t.Errorf("%d lines, want 3 for each of 2 reasons:\n%s", n, text)
		}
		for _, want := range []string{
			`msg="request refused" reason=queue-full remote=10.1.7.23:4711 detail="no room" client=shipper` + "\n",
			`reason=queue-full remote=10.1.7.23:4711 detail="no room" client=shipper notLoggedSince=9`,
			`reason=unauthorized remote=10.1.7.23:4711 detail=who? notLoggedSince=9`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s is not in\n%s", want, text)
			}
		}
	})
}
