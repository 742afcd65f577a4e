package main

import (
	"fmt"
	"io"
	"time"

	"github.com/logpipeline/logpipeline/bench/report"
)

// printTable prints a column for each number of pipelines.
func printTable(w io.Writer, results []result) error {
	lines := []struct {
		what string
		cell func(result) string
	}{
		{"all Ready with both HPAs", func(r result) string { return fmt.Sprintf("%.1f s", r.Converged.Seconds()) }},
		{"operator RSS idle, MiB", func(r result) string { return fmt.Sprint(r.Polling.RSS >> 20) }},
		{"operator CPU idle, % of a core", func(r result) string { return fmt.Sprintf("%.2f", r.Idle.cores()) }},
		{"… with HPAs polling", func(r result) string { return fmt.Sprintf("%.2f", r.Polling.cores()) }},
		{"… with lag on every pipeline", func(r result) string { return fmt.Sprintf("%.2f", r.Lagging.cores()) }},
		{"API writes a minute idle: leases, others", func(r result) string { return writes(r.Idle) }},
		{"… with HPAs polling", func(r result) string { return writes(r.Polling) }},
		{"… with lag on every pipeline", func(r result) string { return writes(r.Lagging) }},
		{"API writes to set one up", func(r result) string {
			return fmt.Sprintf("%.1f", float64(r.SetUp.writes()-r.SetUp.leases())/float64(max(1, r.Pipelines-1)))
		}},
		{"Kafka requests a minute idle", func(r result) string { return kafkaRequests(r.Idle) }},
		{"… with lag on every pipeline", func(r result) string { return kafkaRequests(r.Lagging) }},
		{"Kafka connections open idle, with lag", func(r result) string {
			return fmt.Sprintf("%d, %d", r.Idle.Connections, r.Lagging.Connections)
		}},
		{"SubjectAccessReviews a minute, HPAs polling", func(r result) string {
			return fmt.Sprintf("%.0f", r.Polling.perMinute(r.Polling.Requests[accessReviews]))
		}},
	}
	columns, rows := []string{"LogPipelines"}, make([][]string, len(lines))
	for i, line := range lines {
		rows[i] = []string{line.what}
		for _, r := range results {
			rows[i] = append(rows[i], line.cell(r))
		}
	}
	for _, r := range results {
		columns = append(columns, fmt.Sprint(r.Pipelines))
	}
	return report.PrintTable(w, columns, rows)
}

func writes(u usage) string {
	leases := u.Requests.leases()
	return fmt.Sprintf("%.0f, %.0f", u.perMinute(leases), u.perMinute(u.Requests.writes()-leases))
}

func kafkaRequests(u usage) string { return fmt.Sprintf("%.0f", u.perMinute(int(u.KafkaRequests))) }

// goals of the operator, whatever the number of pipelines.
func goals(results []result) (all []report.Goal) {
	fewest := results[0]
	for _, r := range results {
		n := r.Pipelines
		others := r.Idle.Requests.writes() - r.Idle.Requests.leases()
		all = append(all,
			report.Want(r.Converged <= 2*time.Minute, "%d: converged within 2 minutes: %v", n, r.Converged.Round(100*time.Millisecond)),
			report.Want(others == 0, "%d: idle, no write but leases: %d", n, others),
			report.Want(r.Idle.cores() < 2, "%d: idle below 2 %% of a core: %.2f", n, r.Idle.cores()),
			report.Want(r.Polling.RSS < 200<<20, "%d: RSS below 200 MiB: %d", n, r.Polling.RSS>>20),
			report.Want(r.Lagging.perMinute(r.Lagging.Requests.writes()) < 100, "%d: with lag, below 100 API writes a minute: %.0f", n, r.Lagging.perMinute(r.Lagging.Requests.writes())),
			report.Want(r.Lagging.Connections <= fewest.Lagging.Connections+1, "%d: as many Kafka connections as for %d: %d, %d", n, fewest.Pipelines, r.Lagging.Connections, fewest.Lagging.Connections),
			report.Want(2*fewest.Idle.KafkaRequests >= r.Idle.KafkaRequests, "%d: about as many Kafka requests as for %d: %d, %d", n, fewest.Pipelines, r.Idle.KafkaRequests, fewest.Idle.KafkaRequests),
		)
	}
	return all
}
