package v1alpha1

// Condition types of a LogPipeline. Every condition carries the generation
// that it was decided for.
const (
	// ConditionReady is True when every other condition of a running pipeline
	// is, with the reason Running, and when a suspended one has come to rest,
	// with the reason Suspended. When False, its reason and message are those of
	// the first condition that is not True.
	ConditionReady = "Ready"

	// ConditionReconciling is present, and True, while the operator works
	// towards the spec: something is being created, rolled out or retried.
	ConditionReconciling = "Reconciling"

	// ConditionStalled is present, and True, when only a change of the spec
	// can mend what keeps the pipeline from being Ready.
	ConditionStalled = "Stalled"

	// ConditionKafkaReachable tells whether the operator reached the brokers.
	ConditionKafkaReachable = "KafkaReachable"

	// ConditionTopicReady tells whether the topic is as the spec says.
	ConditionTopicReady = "TopicReady"

	// ConditionStorageReady tells whether what the consumers write to exists.
	ConditionStorageReady = "StorageReady"

	// ConditionIngesterAvailable tells whether the ingesters take requests.
	ConditionIngesterAvailable = "IngesterAvailable"

	// ConditionConsumerAvailable tells whether the consumers are running.
	ConditionConsumerAvailable = "ConsumerAvailable"

	// ConditionAutoscalingActive tells whether what is to be scaled is; it is
	// absent where scaling is fixed. When False, pods stay as they are.
	ConditionAutoscalingActive = "AutoscalingActive"
)

// Reasons of more than one condition.
const (
	// ReasonSuspended: spec.suspend is true, so no pod runs.
	ReasonSuspended = "Suspended"

	// ReasonInvalidSpec: the spec passed the schema, but cannot work; the
	// message names the field, its value and the remedy. With Stalled.
	ReasonInvalidSpec = "InvalidSpec"

	// ReasonNotChecked: an earlier phase failed, so this was not looked at.
	ReasonNotChecked = "NotChecked"

	// ReasonForeignObject: an object under the name of a child exists and is
	// not controlled by this LogPipeline. It is left as it is; delete or
	// rename it.
	ReasonForeignObject = "ForeignObject"

	// ReasonAPIError: the API server refused or failed a request; retried.
	ReasonAPIError = "APIError"

	// ReasonSecretNotFound: a Secret that the spec names does not exist, or
	// lacks a key; the message says which. Create it: it is looked for again
	// every minute. Not Stalled.
	ReasonSecretNotFound = "SecretNotFound"

	// ReasonSecretInvalid: a Secret holds what cannot be used, such as a key
	// that is not the certificate's; the message says what. Not Stalled.
	ReasonSecretInvalid = "SecretInvalid"

	// ReasonTerminating: the LogPipeline is being deleted; the message says
	// what is still to be done.
	ReasonTerminating = "Terminating"
)

// Reasons of Ready.
const (
	// ReasonRunning: records are taken and stored.
	ReasonRunning = "Running"
)

// Reasons of Reconciling.
const (
	// ReasonProgressing: a child has been changed and is not yet there.
	ReasonProgressing = "Progressing"

	// ReasonRetrying: something failed and is tried again.
	ReasonRetrying = "Retrying"

	// ReasonDraining: spec.suspend is true, the ingesters go, and the consumers
	// follow once they have stored what the topic holds; the message says until
	// when at the latest. Its lastTransitionTime is when that began.
	ReasonDraining = "Draining"

	// ReasonRolloutsPaused: the rollout of a new release failed for other
	// pipelines, so this one keeps the pods that it has until that is mended.
	ReasonRolloutsPaused = "RolloutsPaused"

	// ReasonRolloutQueued: as many pipelines as may roll at once do; this one
	// follows.
	ReasonRolloutQueued = "RolloutQueued"
)

// Reasons of KafkaReachable.
const (
	// ReasonBrokersAnswered: a broker answered.
	ReasonBrokersAnswered = "BrokersAnswered"

	// ReasonBrokersUnreachable: no bootstrap server answered; retried with
	// back-off. What is running is left alone.
	ReasonBrokersUnreachable = "BrokersUnreachable"

	// ReasonAuthenticationFailed: the brokers refused the name and password,
	// or closed the connection during the handshake, which is what they do to
	// wrong credentials, to plain text where they want TLS, and to TLS where
	// they want plain text. Check kafka.security and kafka.adminSecurity and
	// their Secrets.
	ReasonAuthenticationFailed = "AuthenticationFailed"

	// ReasonCertificateRejected: the TLS handshake failed: the brokers'
	// certificates are not of the authorities in caSecretRef, or are for other
	// names, or the brokers refused the client's.
	ReasonCertificateRejected = "CertificateRejected"
)

// Reasons of TopicReady.
const (
	// ReasonTopicExists: the topic exists as the spec says.
	ReasonTopicExists = "TopicExists"

	// ReasonWeakTopic: the topic works, but as it is configured it can lose
	// records that were acknowledged: its min.insync.replicas is below 2 with
	// more replicas than that, or unclean leader elections are on. A warning:
	// the condition is True.
	ReasonWeakTopic = "WeakTopic"

	// ReasonReplicationFactorDiffers: the topic works, but its replication
	// factor is not the spec's. The operator does not move replicas.
	ReasonReplicationFactorDiffers = "ReplicationFactorDiffers"

	// ReasonTopicNotFound: topic.management is Existing and there is no such
	// topic. Create it, or let the operator by management: Managed.
	ReasonTopicNotFound = "TopicNotFound"

	// ReasonTopicRecreated: under the topic's name there is now a topic of
	// another id or of another cluster, or none. Stored segments continue
	// only the topic that status.topic names: create a new LogPipeline, with
	// its own storage, for the new topic.
	ReasonTopicRecreated = "TopicRecreated"

	// ReasonNotAuthorized: the brokers refused the operator a right; the
	// message says which.
	ReasonNotAuthorized = "NotAuthorized"

	// ReasonInvalidReplicationFactor: the brokers are fewer than
	// topic.replicationFactor. It is tried again: brokers may come back.
	ReasonInvalidReplicationFactor = "InvalidReplicationFactor"

	// ReasonInvalidTopicConfig: the brokers refused topic.config; the message
	// says what. With Stalled.
	ReasonInvalidTopicConfig = "InvalidTopicConfig"

	// ReasonPartitionsBelowLive: topic.partitions is less than the topic has.
	// Kafka cannot remove partitions. With Stalled.
	ReasonPartitionsBelowLive = "PartitionsBelowLive"

	// ReasonTopicTaken: an elder LogPipeline has this topic. With Stalled.
	ReasonTopicTaken = "TopicTaken"

	// ReasonDeadLetterTopicFailed: the topic of deadLetter.topic is not as the
	// spec says; the message says why.
	ReasonDeadLetterTopicFailed = "DeadLetterTopicFailed"

	// ReasonTopicError: the brokers refused a request for another reason,
	// which the message quotes; retried.
	ReasonTopicError = "TopicError"
)

// Reasons of StorageReady.
const (
	// ReasonClaimBound: the PersistentVolumeClaim is bound.
	ReasonClaimBound = "ClaimBound"

	// ReasonClaimPending: the claim exists and waits for its volume, which
	// many storage classes provide with the first pod.
	ReasonClaimPending = "ClaimPending"

	// ReasonClaimNotFound: storage.persistentVolumeClaim.claimName names no
	// claim in this namespace. Create it.
	ReasonClaimNotFound = "ClaimNotFound"

	// ReasonClaimLost: the claim's volume is gone.
	ReasonClaimLost = "ClaimLost"

	// ReasonClaimSingleNode: one node alone can mount the claim, and
	// consumer.scaling has room for more than one consumer. Lower it to 1, or
	// create another LogPipeline with a claim that is ReadWriteMany. With
	// Stalled.
	ReasonClaimSingleNode = "ClaimSingleNode"

	// ReasonObjectStore: segments are stored in a bucket.
	ReasonObjectStore = "ObjectStore"

	// ReasonExclusiveCreateUnsupported: the store lets two writers create the
	// same object, so that it could neither keep records from doubling nor
	// from getting lost. Choose another store.
	ReasonExclusiveCreateUnsupported = "ExclusiveCreateUnsupported"

	// ReasonStoreFailed: consumers cannot open the store, or for some time could
	// not write to it, and try again; the message quotes one of them.
	ReasonStoreFailed = "StoreFailed"

	// ReasonEphemeral: segments live and die with their pod.
	ReasonEphemeral = "Ephemeral"
)

// Reasons of IngesterAvailable and ConsumerAvailable.
const (
	// ReasonDeploymentAvailable: as many pods as asked for are up to date and
	// ready.
	ReasonDeploymentAvailable = "DeploymentAvailable"

	// ReasonDeploymentProgressing: pods are being created or replaced.
	ReasonDeploymentProgressing = "DeploymentProgressing"

	// ReasonPodsFailing: pods are missing, and the operator knows why: their
	// image can't be had, their container ends again and again or cannot be
	// made, no node takes them, or they don't get ready; the message names one
	// pod, what ails it, and the command that tells more.
	ReasonPodsFailing = "PodsFailing"

	// ReasonDeploymentFailed: the rollout made no progress for ten minutes;
	// the message says why, as that of PodsFailing does.
	ReasonDeploymentFailed = "DeploymentFailed"

	// ReasonDeploymentMissing: the Deployment does not exist yet.
	ReasonDeploymentMissing = "DeploymentMissing"

	// ReasonPartitionsStopped: consumers run, and partitions stand still until
	// somebody decides, such as after records were gone before they were
	// stored; the message quotes a consumer.
	ReasonPartitionsStopped = "PartitionsStopped"
)

// Reasons of AutoscalingActive.
const (
	// ReasonScaling: the HorizontalPodAutoscalers have what they need.
	ReasonScaling = "Scaling"

	// ReasonMetricsUnavailable: the HorizontalPodAutoscalers get no numbers,
	// because Kafka or the pods do not tell them, or nobody serves
	// external.metrics.k8s.io; the message says which. Pods stay as they are.
	ReasonMetricsUnavailable = "MetricsUnavailable"

	// ReasonMetricsAPIOwnedByOther: external.metrics.k8s.io, of which a
	// cluster has one, is served by somebody else, whom the message names. Let
	// that one serve our metrics from Prometheus, or use scaling.fixed.
	ReasonMetricsAPIOwnedByOther = "MetricsAPIOwnedByOther"

	// ReasonResourceMetricsMissing: targetCPUPercent is set, and nobody serves
	// metrics.k8s.io, so that no pod is ever taken away. Install a metrics
	// server, or take targetCPUPercent out.
	ReasonResourceMetricsMissing = "ResourceMetricsMissing"

	// ReasonScaleFailed: a HorizontalPodAutoscaler cannot change the number of
	// pods; its events say why.
	ReasonScaleFailed = "ScaleFailed"

	// ReasonPartitionsExhausted: more consumers are wanted than the topic has
	// partitions, which is what bounds them. Raise topic.partitions. The
	// condition is True.
	ReasonPartitionsExhausted = "PartitionsExhausted"

	// ReasonScaleToZeroUnsupported: minReplicas is 0, and the API server
	// refuses a HorizontalPodAutoscaler that scales to zero: it counts as 1.
	// The condition is True.
	ReasonScaleToZeroUnsupported = "ScaleToZeroUnsupported"
)
