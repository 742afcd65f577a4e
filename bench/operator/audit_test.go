package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAuditCountsWhatEndedInTime(t *testing.T) {
	log := `{"verb":"update","stageTimestamp":"2026-01-01T00:00:00.9Z","objectRef":{"resource":"leases"}}
{"verb":"patch","stageTimestamp":"2026-01-01T00:00:01Z","objectRef":{"resource":"logpipelines","subresource":"status"}}
{"verb":"update","stageTimestamp":"2026-01-01T00:00:02Z","objectRef":{"resource":"leases"}}
{"verb":"create","stageTimestamp":"2026-01-01T00:00:03Z","objectRef":{"resource":"subjectaccessreviews"}}
{"verb":"get","stageTimestamp":"2026-01-01T00:00:04Z","objectRef":{"resource":"apiservices"}}
{"verb":"update","stageTimestamp":"2026-01-01T00:00:05Z","objectRef":{"resource":"leases"}}
{"verb":"upd`
	a := audit{filepath.Join(t.TempDir(), "audit.log")}
	if err := os.WriteFile(a.path, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC)
	got, err := a.between(began, began.Add(4*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	want := requests{"patch logpipelines/status": 1, "update leases": 1, accessReviews: 1, "get apiservices": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got.writes() != 2 || got.leases() != 1 {
		t.Errorf("%d writes, of these %d of leases; want 2, 1", got.writes(), got.leases())
	}
}
