package aggregate

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func get(t *testing.T, plan *Plan, f *folder, query string) (*http.Response, string) {
	t.Helper()
	server := httptest.NewServer(NewHandler(plan, "logs", f, slog.New(slog.DiscardHandler)))
	defer server.Close()
	response, err := http.Get(server.URL + "/aggregates" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var body strings.Builder
	if err := response.Write(&body); err != nil {
		t.Fatal(err)
	}
	_, content, _ := strings.Cut(body.String(), "\r\n\r\n")
	return response, content
}

func TestAnswerByHTTP(t *testing.T) {
	plan := must(t, cfg("level service", "d"))
	f := newFolder()
	f.keep(at10(0), 0, `{"level":"info","service":"a","d":1}`, `{"level":"info","service":"b","d":"slow"}`)
	f.count(t, plan, at10(0))
	f.keep(at10(1), 0, `{"level":"info"}`)
	response, body := get(t, plan, f, "?from=1970-01-01T00:00:00Z&to=120&by=level&step=2m")
	want := `{"from":"1970-01-01T00:00:00Z","to":"1970-01-01T00:02:00Z","windowSeconds":60,"stepSeconds":120,"by":["level"],"numeric":["d"],"segments":2,"missing":1,` +
		`"rows":[{"start":"1970-01-01T00:00:00Z","end":"1970-01-01T00:02:00Z","group":{"level":"info"},"records":2,"bytes":77,` +
		`"numbers":{"d":{"count":1,"skipped":1,"sum":1,"min":1,"max":1,"quantiles":{"0.5":1,"0.9":1,"0.99":1}}}}]}` + "\n"
	if diff := cmp.Diff(want, body); diff != "" || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s, %s (-want +got):\n%s", response.Status, response.Header.Get("Content-Type"), diff)
	}
}

func TestQueryIsRefusedByHTTP(t *testing.T) {
	plan := must(t, cfg("level", ""))
	refused := func(field, value, remedy string) problem {
		return problem{
			Type: problemBase + "malformed-query", Title: "The query is malformed", Status: 400,
			Detail: (&QueryError{field, value, remedy}).Error(), Field: field, Value: value, Remedy: remedy,
		}
	}
	const time, step = "write a time such as 2026-09-01T10:00:00Z, or seconds since 1970", "write a duration such as 5m, a number of seconds, or all"
	for name, tc := range map[string]struct {
		query string
		want  problem
	}{
		"a parameter that isn't one": {"?setp=5m", refused("setp", "5m", "there is no such parameter: use from, to, by and step")},
		"a parameter given twice":    {"?by=a&by=b", refused("by", "a, b", "give it once; fields of by have a comma between two")},
		"a day":                      {"?from=2026-09-01", refused("from", "2026-09-01", time)},
		"no time":                    {"?to=", refused("to", "", time)},
		"milliseconds":               {"?to=1788256800000", refused("to", "1788256800000", "choose a time of the years 1000 to 9000")},
		"a field that isn't one":     {"?by=level,host", refused("by", "host", "choose fields of aggregation.groupBy: level")},
		"a step backwards":           {"?step=-5m", refused("step", "-5m", step)},
		"a step of half a window":    {"?step=30", refused("step", "30s", "write a multiple of the window, 1m0s, or 0 for all of the time")},
	} {
		t.Run(name, func(t *testing.T) {
			response, body := get(t, plan, newFolder(), tc.query)
			var got problem
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%v in %s", err, body)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || response.StatusCode != http.StatusBadRequest || response.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s, %s (-want +got):\n%s", response.Status, response.Header.Get("Content-Type"), diff)
			}
		})
	}
}

func TestTroubleByHTTP(t *testing.T) {
	c := cfg("a", "")
	c.MaxGroups = 10_000
	plan := must(t, c)
	f := newFolder()
	for n := range int64(2) {
		var lines []string
		for i := range 6000 {
			lines = append(lines, `{"a":`+string(rune('1'+n))+strings.Repeat("0", i%100)+strings.Repeat("1", i/100)+`}`)
		}
		f.keep(at10(n), 0, lines...)
		f.count(t, plan, at10(n))
	}
	if response, body := get(t, plan, f, "?from=0&to=60"); response.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "too-many-rows") {
		t.Errorf("too many rows: %s, %.300s", response.Status, body)
	}
	f.broken = errDisk
	if response, body := get(t, plan, f, ""); response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "the disk is on fire") {
		t.Errorf("a broken store: %s, %s", response.Status, body)
	}
}

func TestOnlyGET(t *testing.T) {
	recorder := httptest.NewRecorder()
	plan := must(t, cfg("a", ""))
	NewHandler(plan, "logs", newFolder(), slog.New(slog.DiscardHandler)).ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/aggregates", nil))
	if recorder.Code != 405 || recorder.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d, Allow: %s", recorder.Code, recorder.Header().Get("Allow"))
	}
}

func TestParseQuery(t *testing.T) {
	plan := must(t, cfg("a b", ""))
	now := at(10_000)
	for text, want := range map[string]Query{
		"":                                 {From: at(6400), To: now, Step: time.Minute},
		"to=7200":                          {From: at(3600), To: at(7200), Step: time.Minute},
		"from=1970-01-01T01:00:00%2B01:00": {From: at(0), To: now, Step: time.Minute},
		"by=&step=all":                     {From: at(6400), To: now, By: []string{}},
		"by=b,a&step=120":                  {From: at(6400), To: now, By: []string{"b", "a"}, Step: 2 * time.Minute},
	} {
		values, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := plan.ParseQuery(values, now)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
}
