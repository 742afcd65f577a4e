package httpapi

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// wantsQueued reports whether the request is to be answered once its records
// are queued, rather than produced: as the handler is configured, or as the
// client asks by ?ack=. It may ask for more than is configured, never for less:
// whoever configured it may rely on that.
func (x *exchange) wantsQueued() (bool, *problem) {
	configured := x.options.Acknowledge == config.AcknowledgeQueued
	if x.r.URL.RawQuery == "" {
		return configured, nil
	}
	query, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil { // what can't be read may have been ?ack=produced
		return false, newProblem(malformedQuery, "the query %q is not readable (%v); write ack=produced, ack=queued, or nothing", shorten(x.r.URL.RawQuery, maxKeyBytes), err)
	}
	if p := checkParameters(query); p != nil {
		return false, p
	}
	asked, given := query["ack"]
	switch {
	case !given:
		return configured, nil
	case x.journal:
		return false, checkPersisted(asked)
	case len(asked) > 1 || asked[0] != "produced" && asked[0] != "queued":
		return false, newProblem(unknownAcknowledgement, "ack is %q; ask for ack=produced or ack=queued", asked)
	case asked[0] == "queued" && !configured:
		return false, newProblem(weakerAcknowledgement, "ack=queued is weaker than what this server is configured to give (acknowledge: Produced); leave it out")
	case asked[0] == "produced" && x.options.RequiredAcks == config.RequiredAcksOne:
		return false, newProblem(unavailableAcknowledgement, "ack=produced promises that all in-sync replicas have the records, but this server is configured to hear of the leader alone (producer.requiredAcks: One); leave it out")
	}
	return asked[0] == "queued", nil
}

// checkParameters refuses what nobody here understands: a misspelt ack would
// get its sender the weaker acknowledgement, and no word of it.
func checkParameters(query url.Values) *problem {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if name != "ack" {
			return newProblem(unknownParameter, "the query has the parameter %q, but the only one that is known here is ack; write ack=produced, ack=queued, or nothing", shorten(name, maxKeyBytes))
		}
	}
	return nil
}

// checkPersisted refuses all but ack=produced where a journal takes the records,
// which promises as much: whoever asks for it need not know the role.
func checkPersisted(asked []string) *problem {
	switch {
	case len(asked) == 1 && asked[0] == "produced":
		return nil
	case len(asked) == 1 && asked[0] == "queued":
		return newProblem(weakerAcknowledgement, "ack=queued is weaker than what this server gives (Persisted: the records are in its journal); leave it out")
	}
	return newProblem(unknownAcknowledgement, "ack is %q; leave it out, for this server gives one acknowledgement only (Persisted: the records are in its journal)", asked)
}

// describe answers OPTIONS.
func (x *exchange) describe(place resource) {
	x.w.Header().Set("Allow", place.methods)
	x.send(response{status: http.StatusNoContent})
}
