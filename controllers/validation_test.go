package controllers

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/await"
)

// What the API server takes and refuses, and with which words. The pipelines
// are only tried (dry run), or suspended: the operator has nothing to do.

func TestCreateIsValidated(t *testing.T) {
	tests := map[string]struct {
		spec string // over the minimal one
		says string // empty: it is taken
	}{
		"minimal": {"", ""},

		"no bootstrap server":   {"kafka: {bootstrapServers: []}", "spec.kafka.bootstrapServers in body should have at least 1 items"},
		"17 bootstrap servers":  {"kafka: {bootstrapServers: [" + strings.Repeat("a:1,", 17) + "]}", "Too many: 17: must have at most 16 items"},
		"the same server twice": {`kafka: {bootstrapServers: ["a:1", "a:1"]}`, "Duplicate value"},
		"server without a port": {"kafka: {bootstrapServers: [kafka]}", "spec.kafka.bootstrapServers[0] in body should match"},
		"IPv6 server":           {`kafka: {bootstrapServers: ["[fd00::1]:9092"]}`, ""},
		"TLS by the system":     {"kafka: {security: {tls: {}}}", ""},
		"TLS and SASL":          {"kafka: {security: {tls: {caSecretRef: {name: ca, key: ca.crt}, clientCertSecretRef: {name: cert}, serverName: kafka}, sasl: {mechanism: SCRAM-SHA-512, credentialsSecretRef: {name: app}}}, adminSecurity: {sasl: {mechanism: PLAIN, credentialsSecretRef: {name: admin}}}}", ""},
		"unknown mechanism":     {"kafka: {security: {sasl: {mechanism: GSSAPI, credentialsSecretRef: {name: app}}}}", `supported values: "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"`},
		"SASL without a Secret": {"kafka: {security: {sasl: {mechanism: PLAIN}}}", "spec.kafka.security.sasl.credentialsSecretRef: Required value"},
		"Secret of another key": {"kafka: {security: {tls: {caSecretRef: {name: ca, key: a/b}}}}", "spec.kafka.security.tls.caSecretRef.key in body should match"},
		"Secret in capitals":    {"kafka: {security: {tls: {clientCertSecretRef: {name: Cert}}}}", "spec.kafka.security.tls.clientCertSecretRef.name in body should match"},

		"topic name":                {"topic: {name: logs.orders_1-x}", ""},
		"topic name with a slash":   {"topic: {name: a/b}", "spec.topic.name in body should match"},
		"topic name dot":            {"topic: {name: .}", `topic.name must not be "." or ".."`},
		"Kafka's own topic":         {"topic: {name: __consumer_offsets}", "which Kafka keeps for itself"},
		"topic of no partitions":    {"topic: {partitions: 0}", "spec.topic.partitions in body should be greater than or equal to 1"},
		"topic configuration":       {`topic: {config: {retention.ms: "1"}}`, ""},
		"topic key in capitals":     {`topic: {config: {Retention: "1"}}`, "topic.config has keys such as retention.ms: lower-case words joined by dots, at most 128 characters"},
		"unknown management":        {"topic: {management: Shared}", `Unsupported value: "Shared": supported values: "Managed", "Existing"`},
		"existing topic":            {"topic: {management: Existing, name: x}", ""},
		"existing topic unnamed":    {"topic: {management: Existing}", "topic.name is required when topic.management is Existing"},
		"existing topic resized":    {"topic: {management: Existing, name: x, partitions: 3}", "must be left out when topic.management is Existing: such a topic is never changed"},
		"existing topic deleted":    {"topic: {management: Existing, name: x, deletionPolicy: Delete}", "topic.deletionPolicy must be Retain when topic.management is Existing: such a topic is never deleted"},
		"dead letters":              {"deadLetter: {topic: {management: Managed, partitions: 1}, maxBytes: 64Mi}", ""},
		"dead letters in the topic": {"{topic: {name: x}, deadLetter: {topic: {name: x}}}", "spec.deadLetter.topic.name: Invalid value: deadLetter.topic.name must not be topic.name: records that cannot be delivered there need another topic"},
		"existing letters resized":  {"deadLetter: {topic: {management: Existing, name: x, partitions: 3}}", "deadLetter.topic.config must be left out when deadLetter.topic.management is Existing"},
		"dead letters in dots":      {"deadLetter: {topic: {name: ..}}", `deadLetter.topic.name must not be "." or ".."`},
		"dead letter key":           {`deadLetter: {topic: {config: {Retention: "1"}}}`, "deadLetter.topic.config has keys such as retention.ms"},
		"dead letters unnamed":      {"deadLetter: {topic: {management: Existing}}", "deadLetter.topic.name is required when deadLetter.topic.management is Existing"},

		"queued with a spool":          {"ingester: {acknowledge: Queued, spool: {maxBytes: 1Gi}}", ""},
		"spool without a size":         {"ingester: {acknowledge: Queued, spool: {}}", "spec.ingester.spool.maxBytes: Required value"},
		"produced with a spool":        {"ingester: {spool: {maxBytes: 1Gi}}", "spec.ingester.spool: Invalid value: ingester.spool needs ingester.acknowledge Queued"},
		"unknown acknowledgement":      {"ingester: {acknowledge: Maybe}", `supported values: "Produced", "Queued"`},
		"one replica, queued":          {"ingester: {acknowledge: Queued, producer: {requiredAcks: One}}", ""},
		"one replica, produced":        {"ingester: {producer: {requiredAcks: One}}", "spec.ingester.producer.requiredAcks: Invalid value: ingester.producer.requiredAcks One needs ingester.acknowledge Queued"},
		"codec and level":              {"ingester: {producer: {compression: zstd, compressionLevel: 19}}", ""},
		"level of a codec without any": {"ingester: {producer: {compression: snappy, compressionLevel: 3}}", "spec.ingester.producer.compressionLevel: Invalid value: ingester.producer.compressionLevel needs ingester.producer.compression gzip, lz4 or zstd"},
		"level without a codec":        {"ingester: {producer: {compressionLevel: 3}}", "ingester.producer.compressionLevel needs"},
		"header with a space":          {`ingester: {producer: {headers: ["X Tenant"]}}`, "spec.ingester.producer.headers[0] in body should match"},
		"tokens, users and TLS":        {"ingester: {tls: {certSecretRef: {name: cert}}, authentication: {bearerTokensSecretRef: {name: t}, basicSecretRef: {name: u}, clientCertificates: {caSecretRef: {name: ca}, allowedNames: [a]}}}", ""},
		"TLS by the usual Secret":      {"ingester: {tls: {}}", ""},
		"certificates in plain text":   {"ingester: {authentication: {clientCertificates: {caSecretRef: {name: ca}}}}", "spec.ingester.authentication.clientCertificates: Invalid value: ingester.authentication.clientCertificates needs ingester.tls: certificates are shown over TLS only"},
		"size that is none":            {"ingester: {queue: {maxBytes: many}}", "spec.ingester.queue.maxBytes in body should match"},

		"group with a space":          {"consumer: {group: a b}", "spec.consumer.group in body should match"},
		"gaps are recorded":           {"consumer: {onLoss: RecordGap}", ""},
		"drained before deletion":     {"consumer: {drainOnDelete: true}", ""},
		"losses are ignored":          {"consumer: {onLoss: Ignore}", `supported values: "Stop", "RecordGap"`},
		"scaling of neither kind":     {"ingester: {scaling: {}}", "spec.ingester.scaling: Invalid value: ingester.scaling needs exactly one of fixed (a number of pods), auto (between minReplicas and maxReplicas) and external (an autoscaler of your own)"},
		"scaling by others":           {"{ingester: {scaling: {external: {}}}, consumer: {scaling: {external: {}}}}", ""},
		"scaling of two kinds":        {"ingester: {scaling: {external: {}, auto: {maxReplicas: 2}}}", "ingester.scaling needs exactly one of fixed"},
		"scaling of both kinds":       {"consumer: {scaling: {fixed: {replicas: 1}, auto: {maxReplicas: 2}}}", "consumer.scaling needs exactly one of fixed"},
		"fixed at 0":                  {"consumer: {scaling: {fixed: {replicas: 0}}}", "spec.consumer.scaling.fixed.replicas in body should be greater than or equal to 1"},
		"scaled":                      {"{ingester: {scaling: {auto: {minReplicas: 2, maxReplicas: 20, queueTargetPercent: 50, targetCPUPercent: 80, stabilizationWindowSeconds: 30}}}, consumer: {scaling: {auto: {minReplicas: 1, maxReplicas: 12, targets: [{type: LagRecords, value: 100000}]}}}}", ""},
		"consumers to zero":           {"consumer: {scaling: {auto: {minReplicas: 0, maxReplicas: 3}}}", ""},
		"ingesters to zero":           {"ingester: {scaling: {auto: {minReplicas: 0, maxReplicas: 3}}}", "spec.ingester.scaling.auto.minReplicas in body should be greater than or equal to 1"},
		"more at least than at most":  {"consumer: {scaling: {auto: {minReplicas: 4, maxReplicas: 3}}}", "spec.consumer.scaling.auto.minReplicas: Invalid value: consumer.scaling.auto.minReplicas must not be above consumer.scaling.auto.maxReplicas"},
		"no bound":                    {"consumer: {scaling: {auto: {minReplicas: 1}}}", "spec.consumer.scaling.auto.maxReplicas: Required value"},
		"more ingesters at least":     {"ingester: {scaling: {auto: {minReplicas: 4, maxReplicas: 3}}}", "spec.ingester.scaling.auto.minReplicas: Invalid value: ingester.scaling.auto.minReplicas must not be above ingester.scaling.auto.maxReplicas"},
		"two targets of one type":     {"consumer: {scaling: {auto: {maxReplicas: 3, targets: [{type: LagRecords, value: 1}, {type: LagRecords, value: 2}]}}}", "Duplicate value"},
		"delay above the age":         {"{storage: {segment: {maxAgeSeconds: 30}}, consumer: {scaling: {auto: {maxReplicas: 3, targets: [{type: DelaySeconds, value: 31}]}}}}", ""},
		"delay at the age":            {"{storage: {segment: {maxAgeSeconds: 30}}, consumer: {scaling: {auto: {maxReplicas: 3, targets: [{type: DelaySeconds, value: 30}]}}}}", "spec.consumer.scaling.auto.targets: Invalid value: consumer.scaling.auto.targets: DelaySeconds must be above storage.segment.maxAgeSeconds, because a record is stored only when its segment is sealed: raise the target or lower the age"},
		"target of 0":                 {"consumer: {scaling: {auto: {maxReplicas: 3, targets: [{type: LagRecords, value: 0}]}}}", "targets[0].value in body should be greater than or equal to 1"},
		"unknown storage":             {"storage: {type: Tape}", `Unsupported value: "Tape"`},
		"claim":                       {"storage: {type: PersistentVolumeClaim, persistentVolumeClaim: {claimName: archive}}", ""},
		"claim unnamed":               {"storage: {type: PersistentVolumeClaim}", "storage.persistentVolumeClaim is required when storage.type is PersistentVolumeClaim, and must be left out otherwise"},
		"claim when ephemeral":        {"storage: {persistentVolumeClaim: {claimName: archive}}", "must be left out otherwise"},
		"size limit with a claim":     {"storage: {type: PersistentVolumeClaim, persistentVolumeClaim: {claimName: a}, ephemeral: {}}", "storage.ephemeral must be left out unless storage.type is Ephemeral"},
		"bucket":                      {`storage: {type: ObjectStore, objectStore: {url: "s3://bucket/prefix?region=eu-central-1", credentialsSecretRef: {name: s3}, serviceAccountAnnotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::1:role/logs"}}}`, ""},
		"bucket unnamed":              {"storage: {type: ObjectStore}", "storage.objectStore is required when storage.type is ObjectStore, and must be left out otherwise"},
		"bucket by HTTP":              {`storage: {type: ObjectStore, objectStore: {url: "https://bucket"}}`, "spec.storage.objectStore.url in body should match"},
		"segment age 0":               {"storage: {segment: {maxAgeSeconds: 0}}", "spec.storage.segment.maxAgeSeconds in body should be greater than or equal to 1"},
		"segments in Kafka's codec":   {"storage: {segment: {compression: lz4}}", `supported values: "none", "gzip", "zstd"`},
		"retention":                   {"storage: {retention: {maxAgeSeconds: 2592000, maxBytes: 500Gi}}", ""},
		"aggregation":                 {`aggregation: {windowSeconds: 60, groupBy: [level, service], numeric: [took], quantiles: ["0.5", "0.99"], maxGroups: 10}`, ""},
		"aggregation of nothing":      {"aggregation: {windowSeconds: 60}", "aggregation needs groupBy or numeric: name the fields to count by, or those to sum up"},
		"quantile above 1":            {`aggregation: {numeric: [took], quantiles: ["1.5"]}`, "spec.aggregation.quantiles[0] in body should match"},
		"pods":                        {"ingester: {pod: {resources: {}, scheduling: {nodeSelector: {disk: fast}, tolerations: [{operator: Exists}], affinity: {}, priorityClassName: high}, labels: {team: a}, annotations: {example.com/a: b c}, serviceAccountAnnotations: {a: b}}}", ""},
		"label of the operator":       {"consumer: {pod: {labels: {app.kubernetes.io/name: x}}}", "spec.consumer.pod.labels: Invalid value: pod.labels must not begin with app.kubernetes.io/ or ingest.logpipeline.io/"},
		"annotation of the operator":  {"consumer: {pod: {annotations: {ingest.logpipeline.io/config-checksum: x}}}", "pod.annotations must not begin with ingest.logpipeline.io/"},
		"label with a space":          {"consumer: {pod: {labels: {team: a b}}}", "spec.consumer.pod.labels.team in body should match"},
		"17 resources":                {"ingester: {pod: {resources: {limits: {" + numbered("example.com/", 17) + "}}}}", "Too many: 17: must have at most 16 items"},
		"network":                     {"networkPolicy: {ingressFrom: [{namespaceSelector: {}}], metricsFrom: [{podSelector: {}}], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 9092}]}]}", ""},
		"no policy":                   {"networkPolicy: {management: None}", ""},
		"rules of no policy":          {"networkPolicy: {management: None, egress: [{}]}", "must be left out when networkPolicy.management is None"},
		"field that does not exist":   {"ingester: {qeue: {}}", `unknown field "spec.ingester.qeue"`},
		"what the design has in full": {design, ""},
	}
	namespace := newNamespace(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			expect(t, try(t.Context(), manifest(t, namespace, "orders", test.spec)), test.says)
		})
	}
}

// design is a resource with every union and unit.
const design = `
suspend: false
kafka:
  bootstrapServers: ["kafka:9092"]
  security:
    tls: {caSecretRef: {name: ca, key: ca.crt}, clientCertSecretRef: {name: cert}}
    sasl: {mechanism: SCRAM-SHA-512, credentialsSecretRef: {name: app}}
  adminSecurity: {}
topic: {management: Managed, name: logs.orders, partitions: 12, replicationFactor: 3, config: {retention.ms: "604800000"}, deletionPolicy: Retain}
deadLetter: {topic: {management: Managed, partitions: 1}}
ingester:
  acknowledge: Queued
  queue: {maxBytes: 256Mi}
  spool: {maxBytes: 1Gi}
  producer: {batchRecords: 50000, batchMaxDelayMilliseconds: 200, deliveryTimeoutSeconds: 120, compression: snappy}
  requestLimits: {maxBodyBytes: 16Mi, maxRecordBytes: 1Mi}
  authentication: {}
  tls: {}
  drain: {delaySeconds: 5, timeoutSeconds: 60}
  scaling: {auto: {minReplicas: 2, maxReplicas: 20, queueTargetPercent: 50}}
  pod: {resources: {}, scheduling: {}, labels: {}, annotations: {}}
consumer:
  group: logpipeline.logs.orders
  scaling: {auto: {minReplicas: 1, maxReplicas: 12, targets: [{type: LagRecords, value: 100000}]}}
  pod: {}
storage:
  type: PersistentVolumeClaim
  persistentVolumeClaim: {claimName: orders}
  segment: {maxBytes: 64Mi, maxAgeSeconds: 10, compression: zstd}
  retention: {maxAgeSeconds: 2592000, maxBytes: 500Gi}
aggregation: {windowSeconds: 60, groupBy: [level, service]}
`

func TestNamesAreValidated(t *testing.T) {
	tests := map[string]string{
		strings.Repeat("a", 45): "",
		strings.Repeat("a", 46): "metadata.name must be at most 45 lower-case letters, digits and dashes",
		"1st":                   "begin with a letter",
		"a.b":                   "metadata.name must be",
		"a-":                    "and end with a letter or digit",
	}
	namespace := newNamespace(t)
	for name, says := range tests {
		t.Run(name, func(t *testing.T) { expect(t, try(t.Context(), manifest(t, namespace, name, "")), says) })
	}
}

// The names of its objects, and the labels with its name, are longer.
func TestLongestNameFits(t *testing.T) {
	p := newPipeline(newNamespace(t), newKafka(t).ListenAddrs())
	p.Name = strings.Repeat("a", 45)
	startPipeline(t, p)
}

func TestUpdateIsValidated(t *testing.T) {
	const (
		named  = "topic: {name: x, partitions: 4}"
		stored = "storage: {type: PersistentVolumeClaim, persistentVolumeClaim: {claimName: a}}"
		bucket = `storage: {type: ObjectStore, objectStore: {url: "s3://bucket/prefix?region=a"}}`
	)
	tests := map[string]struct{ before, change, says string }{
		"more partitions":           {named, "topic: {partitions: 5}", ""},
		"fewer partitions":          {named, "topic: {partitions: 3}", "spec.topic.partitions: Invalid value: topic.partitions only grows: Kafka cannot remove partitions"},
		"partitions left out":       {named, "topic: {partitions: null}", ""},
		"another topic":             {named, "topic: {name: other}", "topic.name is immutable: create another LogPipeline for another topic"},
		"topic name taken out":      {named, "topic: {name: null}", "topic.name is immutable"},
		"whole topic taken out":     {named, "topic: null", "topic.name is immutable"},
		"topic name put in":         {"", "topic: {name: other}", "topic.name is immutable"},
		"topic handed over":         {named, "topic: {management: Existing, partitions: null}", ""},
		"fewer dead letters":        {"deadLetter: {topic: {partitions: 3}}", "deadLetter: {topic: {partitions: 2}}", "deadLetter.topic.partitions only grows"},
		"group put in":              {"", "consumer: {group: g}", "consumer.group is immutable: create another LogPipeline for another group"},
		"group taken out":           {"consumer: {group: g}", "consumer: null", "consumer.group is immutable"},
		"another kind of store":     {"", stored, "storage.type is immutable: create another LogPipeline for another store"},
		"another claim":             {stored, "storage: {persistentVolumeClaim: {claimName: b}}", "spec.storage.persistentVolumeClaim.claimName: Invalid value: storage.persistentVolumeClaim.claimName is immutable"},
		"another bucket":            {bucket, `storage: {objectStore: {url: "s3://other/prefix?region=a"}}`, "spec.storage.objectStore.url: Invalid value: storage.objectStore.url is immutable but for what follows a question mark"},
		"another prefix":            {bucket, `storage: {objectStore: {url: "s3://bucket/other"}}`, "storage.objectStore.url is immutable"},
		"bucket of another region":  {bucket, `storage: {objectStore: {url: "s3://bucket/prefix?region=b"}}`, ""},
		"other brokers":             {"", `kafka: {bootstrapServers: ["b:1"]}`, ""},
		"from fixed to auto":        {"consumer: {scaling: {fixed: {replicas: 2}}}", "consumer: {scaling: {fixed: null, auto: {maxReplicas: 3}}}", ""},
		"auto beside fixed":         {"consumer: {scaling: {fixed: {replicas: 2}}}", "consumer: {scaling: {auto: {maxReplicas: 3}}}", "consumer.scaling needs exactly one of fixed"},
		"another acknowledgement":   {"ingester: {acknowledge: Queued, spool: {maxBytes: 1Gi}}", "ingester: {acknowledge: Produced, spool: null}", ""},
		"acknowledgement taken out": {"ingester: {acknowledge: Queued, spool: {maxBytes: 1Gi}}", "ingester: {acknowledge: null}", "ingester.spool needs ingester.acknowledge Queued"},
	}
	namespace := newNamespace(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := manifest(t, namespace, "p-"+strings.ReplaceAll(name, " ", "-"), "suspend: true")
			merge(p.Object["spec"].(map[string]any), parse(t, test.before))
			create(t, p)
			expect(t, tryChange(t, p, test.change), test.says)
		})
	}
}

func TestStructureIsDefaulted(t *testing.T) {
	p := newPipeline(newNamespace(t), []string{"kafka:9092"})
	if err := api.Create(t.Context(), p, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if p.Spec.Topic.Management != v1alpha1.TopicManaged || p.Spec.Topic.DeletionPolicy != v1alpha1.TopicRetain || p.Spec.Ingester.Acknowledge != v1alpha1.AcknowledgeProduced {
		t.Errorf("topic is %+v, acknowledge %q", p.Spec.Topic, p.Spec.Ingester.Acknowledge)
	}
	if p.Spec.Ingester.Queue.MaxBytes != nil || p.Spec.Ingester.Scaling != nil || p.Spec.Consumer.Scaling != nil {
		t.Errorf("tuning is defaulted by the schema: %+v", p.Spec)
	}
}

func TestSamplesAreTaken(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	namespace, taken := newNamespace(t), map[string]bool{}
	for _, file := range files {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for part := range bytes.SplitSeq(document, []byte("\n---\n")) {
			object := &unstructured.Unstructured{Object: parse(t, string(part))}
			if object.GetKind() == "" {
				continue // the list of the samples
			}
			object.SetNamespace(namespace)
			if err := try(t.Context(), object); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			taken[filepath.Base(file)] = true
		}
	}
	for _, name := range []string{"minimal.yaml", "full.yaml", "tls-and-sasl.yaml", "s3.yaml", "fixed-scaling.yaml"} {
		if !taken[name] {
			t.Errorf("there is no sample %s", name)
		}
	}
}

// What kubectl explain shows is ours, down to the types of Kubernetes.
func TestKubectlExplainsTheFields(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string][]string{
		"lp": {"LogPipeline runs log ingestion: ingesters take records by HTTP", "spec\t<Object> -required-"},
		"lp.spec.ingester": {
			"ingester configures the pods that take records by HTTP",
			"acknowledge\t<string>", "enum: Produced, Queued",
			"spool is the write-ahead log, on the pod's disk",
		},
		"lp.spec.consumer.scaling.auto.targets": {"type\t<string> -required-", "enum: LagRecords, DelaySeconds", "value to hold: records for each pod, or seconds."},
	}
	for path, says := range tests {
		await.NoError(t, func() error { // the server publishes schemas by and by
			explain := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), "--kubeconfig", file, "explain", path)
			shown, err := explain.CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w\n%s", err, shown)
			}
			for _, text := range says {
				if !strings.Contains(string(shown), text) {
					return fmt.Errorf("kubectl explain %s doesn't say %q:\n%s", path, text, shown)
				}
			}
			return nil
		})
	}
}

// What kubectl get shows is what one looks for first.
func TestKubectlShowsHowAPipelineIs(t *testing.T) {
	p := newPipeline(newNamespace(t), newKafka(t).ListenAddrs())
	startPipeline(t, p)
	observed := client.RawPatch(types.MergePatchType, []byte(`{"status":{"observed":{"at":"2026-05-04T03:02:01Z","lagRecords":1000,"delaySeconds":10}}}`))
	if err := api.Status().Patch(t.Context(), p, observed); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	get := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), "--kubeconfig", file, "get", "lp", "-n", p.Namespace)
	shown, err := get.CombinedOutput()
	lines := strings.Split(string(shown), "\n")
	if err != nil || len(lines) < 2 {
		t.Fatalf("%v\n%s", err, shown)
	}
	want := []string{"NAME", "READY", "REASON", "INGESTERS", "CONSUMERS", "LAG", "DELAY", "AGE"}
	if diff := cmp.Diff(want, strings.Fields(lines[0])); diff != "" {
		t.Errorf("columns, -want +got\n%s", diff)
	}
	row := strings.Fields(lines[1])
	if diff := cmp.Diff([]string{"orders", "True", "Running", "2/2", "1/1", "1000", "10"}, row[:len(row)-1]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// manifest is a minimal pipeline with a spec merged over its own.
func manifest(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	p := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"kafka":   map[string]any{"bootstrapServers": []any{"kafka:9092"}},
		"storage": map[string]any{"type": "Ephemeral"},
	}}}
	p.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("LogPipeline"))
	p.SetNamespace(namespace)
	p.SetName(name)
	merge(p.Object["spec"].(map[string]any), parse(t, spec))
	return p
}

func parse(t *testing.T, document string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// merge puts over's fields into object, and takes out what is null.
func merge(object, over map[string]any) {
	for key, value := range over {
		inner, nested := object[key].(map[string]any)
		change, isObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(object, key)
		case nested && isObject:
			merge(inner, change)
		default:
			maps.Copy(object, map[string]any{key: value})
		}
	}
}

// try creates an object without keeping it; fields that do not exist are
// refused.
func try(ctx context.Context, object client.Object) error {
	return api.Create(ctx, object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

// tryChange updates a pipeline without keeping it.
func tryChange(t *testing.T, p *unstructured.Unstructured, change string) (err error) {
	t.Helper()
	await.NoError(t, func() error { // the operator's status may come in between
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		merge(p.Object["spec"].(map[string]any), parse(t, change))
		if err = api.Update(t.Context(), p, client.DryRunAll); apierrors.IsConflict(err) {
			return err
		}
		return nil
	})
	return err
}

// numbered are so many entries of a map.
func numbered(prefix string, n int) string {
	var entries []string
	for i := range n {
		entries = append(entries, prefix+string(rune('a'+i))+`: "1"`)
	}
	return strings.Join(entries, ", ")
}

func expect(t *testing.T, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("refused: %v", err)
	case says != "" && err == nil:
		t.Errorf("taken, want it refused with %q", says)
	case says != "" && !strings.Contains(err.Error(), says):
		t.Errorf("refused, but not with %q:\n%v", says, err)
	}
}
