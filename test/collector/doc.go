// Package collector tests POST /v1/logs with a real OpenTelemetry Collector:
// what it was given arrives, whatever happens to the ingester meanwhile.
package collector
