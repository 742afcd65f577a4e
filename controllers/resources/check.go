package resources

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// check returns every mistake that the schema cannot see.
func check(p *v1alpha1.LogPipeline, c Configs) error {
	return errors.Join(
		inSpec(c.Ingester.Validate(config.RoleServe), c.Consumer.Validate(config.RoleConsume)),
		checkMemory(p.Spec.Ingester.Pod.Resources, c.Ingester),
		checkDisk("ingester", p.Spec.Ingester.Pod.Resources, ingesterDisk(c.Ingester), "spec.ingester.spool.maxBytes or spec.deadLetter.maxBytes"),
		checkDisk("consumer", p.Spec.Consumer.Pod.Resources, consumerDisk(p, c.Consumer), "spec.storage.segment.maxOpenBytes or spec.storage.ephemeral.sizeLimit"),
		checkTopicConfig(p.Spec.Topic, c.Ingester),
		checkDelayTarget(p.Spec.Consumer.Scaling, c.Consumer),
		checkEphemeral(p.Spec.Storage.Ephemeral),
	)
}

// checkMemory refuses a memory limit at which a full queue would get the pod
// killed, since the queue's bound is what keeps it alive.
func checkMemory(spec v1alpha1.ResourcesSpec, c config.Config) error {
	limit, found := spec.Limits[corev1.ResourceMemory]
	if least := leastIngesterMemory(c); found && limit.Value() < least {
		return fmt.Errorf("spec.ingester.pod.resources.limits.memory is %s, but spec.ingester.queue.maxBytes (%s) and the process beside it need %s: raise the limit, or lower spec.ingester.queue.maxBytes",
			&limit, c.Queue.MaxBytes, resource.NewQuantity(least, resource.BinarySI))
	}
	return nil
}

// checkDisk refuses a limit at which a pod would be evicted for what it is
// allowed to keep.
func checkDisk(role string, spec v1alpha1.ResourcesSpec, needed int64, bounds string) error {
	limit, found := spec.Limits[corev1.ResourceEphemeralStorage]
	if found && limit.Value() < needed {
		return fmt.Errorf("spec.%s.pod.resources.limits.ephemeral-storage is %s, but what a pod may keep on its disk needs %s: raise the limit, or lower %s",
			role, &limit, resource.NewQuantity(needed, resource.BinarySI), bounds)
	}
	return nil
}

// checkTopicConfig refuses settings under which the topic takes no records, or
// not all that the ingesters admit.
func checkTopicConfig(topic v1alpha1.TopicSpec, c config.Config) error {
	var mistakes []error
	if policy := string(topic.Config["cleanup.policy"]); strings.Contains(policy, "compact") {
		mistakes = append(mistakes, fmt.Errorf("spec.topic.config[cleanup.policy] is %q, under which Kafka refuses records without a key: leave it at \"delete\"", policy))
	}
	if bytes, found := topic.Config["max.message.bytes"]; found {
		if n, err := strconv.ParseInt(string(bytes), 10, 64); err != nil || n < c.TopicMaxMessageBytes() {
			mistakes = append(mistakes, fmt.Errorf("spec.topic.config[max.message.bytes] is %q, but spec.ingester.requestLimits.maxRecordBytes (%s) and spec.ingester.producer.batchBytes (%s) need %d: raise it, lower spec.ingester.requestLimits.maxRecordBytes, or leave it out",
				string(bytes), c.RequestLimits.MaxRecordBytes, c.Producer.BatchBytes, c.TopicMaxMessageBytes()))
		}
	}
	return errors.Join(mistakes...)
}

// checkDelayTarget knows the age that holds where the spec has none, unlike
// the schema.
func checkDelayTarget(scaling *v1alpha1.ConsumerScalingSpec, c config.Config) error {
	if scaling == nil || scaling.Auto == nil {
		return nil
	}
	for _, target := range scaling.Auto.Targets {
		if target.Type == v1alpha1.TargetDelaySeconds && target.Value <= int64(c.Segment.MaxAgeSeconds) {
			return fmt.Errorf("spec.consumer.scaling.auto.targets: DelaySeconds is %d, but a record is stored only when its segment is sealed, after up to %d s (spec.storage.segment.maxAgeSeconds): raise the target, or lower the age",
				target.Value, c.Segment.MaxAgeSeconds)
		}
	}
	return nil
}

func checkEphemeral(spec *v1alpha1.EphemeralStorage) error {
	if spec == nil {
		return nil
	}
	var ignored config.Bytes
	return setSize(&ignored, spec.SizeLimit, "spec.storage.ephemeral.sizeLimit")
}

// specFields are where the spec has the sections of the configuration.
var specFields = map[string]string{
	"kafka":         "spec",
	"queue":         "spec.ingester",
	"spool":         "spec.ingester",
	"producer":      "spec.ingester",
	"requestLimits": "spec.ingester",
	"drain":         "spec.ingester",
	"deadLetter":    "spec",
	"consumer":      "spec",
	"segment":       "spec.storage",
	"objectStore":   "spec.storage",
	"retention":     "spec.storage",
	"aggregation":   "spec",
}

// setting is the name of a setting in a message of package config: at the
// beginning of a word, so that nothing inside of quotes is one.
var setting = regexp.MustCompile(`(^|[ (])([a-zA-Z]+)\.([a-zA-Z]+)`)

// inSpec returns the mistakes of configurations once each, with the names that
// the spec has for what they are about.
func inSpec(mistakes ...error) error {
	var lines []error
	seen := map[string]bool{}
	for _, mistake := range slices.DeleteFunc(mistakes, func(err error) bool { return err == nil }) {
		for line := range strings.Lines(mistake.Error()) {
			line = inSpecWords(strings.TrimSuffix(line, "\n"))
			if !seen[line] {
				lines = append(lines, errors.New(line))
			}
			seen[line] = true
		}
	}
	return errors.Join(lines...)
}

func inSpecWords(line string) string {
	switch {
	case strings.HasPrefix(line, "topic is"):
		line = strings.Replace(line, "topic", "spec.topic.name", 1)
	case strings.HasPrefix(line, "deadLetter.topic is"):
		line = strings.Replace(line, "deadLetter.topic", "deadLetter.topic.name", 1)
	}
	line = strings.ReplaceAll(line, "but acknowledge is", "but spec.ingester.acknowledge is")
	return setting.ReplaceAllStringFunc(line, func(found string) string {
		parts := setting.FindStringSubmatch(found)
		parent, known := specFields[parts[2]]
		if !known {
			return found
		}
		return parts[1] + parent + "." + parts[2] + "." + parts[3]
	})
}
