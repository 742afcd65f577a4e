package controllers

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

const (
	// rolloutsAtOnce is how many pipelines may have their pods replaced for a
	// new release at a time.
	rolloutsAtOnce = 5
	// failuresToPause is how many of them may fail until no other one begins.
	failuresToPause = 2
)

// rolloutTurns are given to the pipelines that ask first. Who has one is seen
// from the Deployments; what is remembered here is only what the cache, being
// behind, doesn't show yet.
type rolloutTurns struct {
	mu    sync.Mutex
	given map[client.ObjectKey]bool
}

// ask gives a pipeline its turn, or says why it has to wait. One that has its
// turn may ask again.
func (t *rolloutTurns) ask(key client.ObjectKey, release string, seen rolloutsSeen) rolloutSeen {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := len(seen.rolling)
	for other := range t.given {
		if !seen.rolling[other] {
			taken++
		}
	}
	switch {
	case seen.rolling[key] || t.given[key]:
		return rolloutSeen{}
	case seen.paused():
		return rolloutsPaused(release, seen)
	case taken >= rolloutsAtOnce:
		return rolloutQueued(release, seen)
	}
	if t.given == nil {
		t.given = map[client.ObjectKey]bool{}
	}
	t.given[key] = true
	return rolloutSeen{}
}

// forget takes a turn back: the pods are replaced, or could not be, or the
// pipeline is gone.
func (t *rolloutTurns) forget(key client.ObjectKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.given, key)
}

// rolloutQueued has no numbers in its message that would change with every pass.
func rolloutQueued(release string, seen rolloutsSeen) rolloutSeen {
	return rolloutSeen{held: v1alpha1.ReasonRolloutQueued, again: seen.waitFor(), message: fmt.Sprintf(
		"the pods of release %q follow when it is this pipeline's turn: %d pipelines are rolled out at a time", release, rolloutsAtOnce)}
}

func rolloutsPaused(release string, seen rolloutsSeen) rolloutSeen {
	return rolloutSeen{held: v1alpha1.ReasonRolloutsPaused, again: seen.waitFor(), message: fmt.Sprintf(
		"the pods of release %q follow when those of %s are well: mend those, or install a release that mends them", release, some(seen.failed))}
}

// some names up to three.
func some(keys map[client.ObjectKey]bool) string {
	var names []string
	for key := range keys {
		names = append(names, key.String())
	}
	slices.Sort(names)
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
