package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/topics"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// topicSeen is what Kafka answered.
type topicSeen struct {
	// checked is false while no broker was asked, or none answered.
	checked bool
	// topic is the zero value while none was seen, or not the known one.
	topic topics.Topic
}

// kafkaTimeout bounds what one reconcile asks of Kafka.
const kafkaTimeout = 30 * time.Second

// ensureTopic makes the topic as the spec says. A suspended pipeline asks
// nothing of Kafka, so that it can be suspended while Kafka is down.
func (r *Reconciler) ensureTopic(ctx context.Context, p *pass) error {
	if p.pipeline.Spec.Suspend {
		r.Topics.Release(client.ObjectKeyFromObject(p.pipeline).String())
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	cluster, err := r.cluster(p.pipeline, p.resolved.secrets)
	if err != nil {
		return err
	}
	desired := p.resolved.topic
	desired.Anew = p.pipeline.Generation != p.pipeline.Status.ObservedGeneration
	topic, created, err := cluster.Ensure(ctx, desired)
	reason := topics.ReasonOf(err)
	p.topic.checked = err == nil || !aboutConnection(reason)
	if topic.ID != "" && reason != topics.Recreated {
		p.topic.topic = topic
	}
	if created {
		if err := r.recordTopic(ctx, p, topic); err != nil {
			return err
		}
	}
	if err != nil {
		return topicFailure(reason, err)
	}
	return nil
}

// ensureDeadLetterTopic makes the topic of dead letters as the spec says,
// after yieldToElder has found the pipeline's own topic to be its.
func (r *Reconciler) ensureDeadLetterTopic(ctx context.Context, p *pass) error {
	desired := p.resolved.deadLetter
	if desired == nil || p.pipeline.Spec.Suspend {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	cluster, err := r.cluster(p.pipeline, p.resolved.secrets)
	if err != nil {
		return err
	}
	topic, created, err := cluster.Ensure(ctx, *desired)
	if created {
		r.topicCreated(p.pipeline, topic)
	}
	if err == nil {
		return nil
	}
	failure := topicFailure(topics.ReasonOf(err), &deadLetterError{err})
	if failure.condition == v1alpha1.ConditionTopicReady {
		failure.reason = v1alpha1.ReasonDeadLetterTopicFailed
	}
	return failure
}

// deadLetterError names the fields of the topic of dead letters, where the
// cause names those of the pipeline's own.
type deadLetterError struct{ cause error }

var deadLetterFields = strings.NewReplacer(
	"topic.management", "deadLetter.topic.management",
	"topic.partitions", "deadLetter.topic.partitions",
	"topic.replicationFactor", "deadLetter.topic.replicationFactor",
)

func (e *deadLetterError) Error() string {
	return "dead letters: " + deadLetterFields.Replace(e.cause.Error())
}

func (e *deadLetterError) Unwrap() error { return e.cause }

// recordTopic writes that the topic is ours as soon as it is, whoever else
// changes the pipeline meanwhile: only this pass knows, and without it the
// topic would never be deleted.
func (r *Reconciler) recordTopic(ctx context.Context, p *pass, topic topics.Topic) error {
	if topic.ID == "" {
		return nil // created, and not seen since: it counts as somebody else's
	}
	r.topicCreated(p.pipeline, topic)
	before, after := p.pipeline.DeepCopy(), p.pipeline.DeepCopy()
	after.Status.Topic = topicStatus(topic, true)
	if err := r.Client.Status().Patch(ctx, after, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("record topic %q in status: %w", topic.Name, err)
	}
	p.pipeline.Status.Topic = after.Status.Topic
	if after.Generation == p.pipeline.Generation {
		p.pipeline.ResourceVersion = after.ResourceVersion
	}
	return nil
}

func topicStatus(topic topics.Topic, created bool) *v1alpha1.TopicStatus {
	return &v1alpha1.TopicStatus{
		Name: topic.Name, ID: topic.ID, ClusterID: topic.ClusterID,
		Created: created, Partitions: topic.Partitions,
	}
}

// cluster is the Kafka of the pipeline, as the operator is known there. The
// Secrets must have been read, so that rotated credentials make a new client.
func (r *Reconciler) cluster(p *v1alpha1.LogPipeline, read secrets) (*topics.Cluster, error) {
	return r.Topics.Cluster(client.ObjectKeyFromObject(p).String(), connection(p, read))
}

func connection(p *v1alpha1.LogPipeline, read secrets) topics.Connection {
	c := topics.Connection{BootstrapServers: p.Spec.Kafka.BootstrapServers}
	security := resources.AdminSecurity(p)
	if tls := security.TLS; tls != nil {
		c.TLS = config.KafkaTLS{Enabled: true, ServerName: tls.ServerName}
		if ca := tls.CASecretRef; ca != nil {
			c.Credentials.CA = read[ca.Name][caKey(*ca)]
		}
		if cert := tls.ClientCertSecretRef; cert != nil {
			c.Credentials.Cert, c.Credentials.Key = read[cert.Name][corev1.TLSCertKey], read[cert.Name][corev1.TLSPrivateKeyKey]
		}
	}
	if sasl := security.SASL; sasl != nil {
		c.SASL.Mechanism = config.SASLMechanism(sasl.Mechanism)
		data := read[sasl.CredentialsSecretRef.Name]
		c.Credentials.Username = lineOf(data[corev1.BasicAuthUsernameKey])
		c.Credentials.Password = lineOf(data[corev1.BasicAuthPasswordKey])
	}
	return c
}

// caKey is where a Secret has the certificates.
func caKey(ca v1alpha1.CASecretReference) string {
	if ca.Key != "" {
		return ca.Key
	}
	return corev1.ServiceAccountRootCAKey // ca.crt
}

// lineOf is without the line's end, as the pods read their files.
func lineOf(value []byte) string { return strings.TrimRight(string(value), "\r\n") }

// aboutConnection says that no broker was there to answer about a topic.
func aboutConnection(reason topics.Reason) bool {
	return reason == topics.Unreachable || reason == topics.AuthenticationFailed || reason == topics.CertificateRejected
}

// topicFailure is stalled where a change of the spec alone can mend it, whatever
// becomes of the brokers.
func topicFailure(reason topics.Reason, err error) *failure {
	shown := map[topics.Reason]failure{
		topics.Unreachable:              {condition: v1alpha1.ConditionKafkaReachable, reason: v1alpha1.ReasonBrokersUnreachable},
		topics.AuthenticationFailed:     {condition: v1alpha1.ConditionKafkaReachable, reason: v1alpha1.ReasonAuthenticationFailed},
		topics.CertificateRejected:      {condition: v1alpha1.ConditionKafkaReachable, reason: v1alpha1.ReasonCertificateRejected},
		topics.NotAuthorized:            {reason: v1alpha1.ReasonNotAuthorized},
		topics.NotFound:                 {reason: v1alpha1.ReasonTopicNotFound},
		topics.Recreated:                {reason: v1alpha1.ReasonTopicRecreated},
		topics.InvalidReplicationFactor: {reason: v1alpha1.ReasonInvalidReplicationFactor},
		topics.InvalidConfig:            {reason: v1alpha1.ReasonInvalidTopicConfig, stalled: true},
		topics.PartitionsBelowLive:      {reason: v1alpha1.ReasonPartitionsBelowLive, stalled: true},
		topics.Failed:                   {reason: v1alpha1.ReasonTopicError},
	}[reason]
	if shown.condition == "" {
		shown.condition = v1alpha1.ConditionTopicReady
	}
	shown.err = err
	return &shown
}
