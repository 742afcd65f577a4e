package aggregate

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// queryTime is how long before to a query begins that doesn't say.
const queryTime = time.Hour

// ParseQuery reads a query as URLs have it:
//
//	from, to  RFC 3339 or seconds since the Unix epoch; to is now, and from an
//	          hour before it, unless they are given
//	by        fields with a comma between two; without it all fields, and empty
//	          none
//	step      a duration such as 5m, or seconds, or all; the window unless given
//
// Its error is a *QueryError.
func (p *Plan) ParseQuery(values url.Values, now time.Time) (Query, error) {
	q := Query{To: now, Step: p.Window()}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given := values[name]
		if !slices.Contains([]string{"from", "to", "by", "step"}, name) {
			return Query{}, &QueryError{name, given[0], "there is no such parameter: use from, to, by and step"}
		}
		if len(given) > 1 {
			return Query{}, &QueryError{name, strings.Join(given, ", "), "give it once; fields of by have a comma between two"}
		}
	}
	var err error
	if values.Has("to") {
		if q.To, err = ParseTime("to", values.Get("to")); err != nil {
			return Query{}, err
		}
	}
	q.From = q.To.Add(-queryTime)
	if values.Has("from") {
		if q.From, err = ParseTime("from", values.Get("from")); err != nil {
			return Query{}, err
		}
	}
	if values.Has("by") {
		q.By = ParseFields(values.Get("by"))
	}
	if values.Has("step") {
		if q.Step, err = ParseStep(values.Get("step")); err != nil {
			return Query{}, err
		}
	}
	return q, nil
}

// ParseFields reads fields with a comma between two; nothing is no field.
func ParseFields(text string) []string {
	if text == "" {
		return []string{}
	}
	return strings.Split(text, ",")
}

// ParseTime reads a moment.
func ParseTime(field, text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, &QueryError{field, text, "write a time such as 2026-09-01T10:00:00Z, or seconds since 1970"}
}

// ParseStep reads how much time a row stands for.
func ParseStep(text string) (time.Duration, error) {
	if text == "all" {
		return 0, nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second, nil
	}
	if step, err := time.ParseDuration(text); err == nil && step > 0 {
		return step, nil
	}
	return 0, &QueryError{"step", text, "write a duration such as 5m, a number of seconds, or all"}
}
