package v1alpha1

// Condition types of a LogPipeline. Every condition carries the generation
// that it was decided for.
const (
	// ConditionReady is True when every other condition of a running pipeline
	// is. When False, its reason and message are those of the first condition
	// that is not True.
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
)

// Reasons of KafkaReachable.
const (
	// ReasonBrokersAnswered: a broker answered.
	ReasonBrokersAnswered = "BrokersAnswered"

	// ReasonBrokersUnreachable: no bootstrap server answered; retried with
	// back-off. What is running is left alone.
	ReasonBrokersUnreachable = "BrokersUnreachable"
)

// Reasons of TopicReady.
const (
	// ReasonTopicExists: the topic exists as the spec says.
	ReasonTopicExists = "TopicExists"

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
	// topic.replicationFactor. With Stalled.
	ReasonInvalidReplicationFactor = "InvalidReplicationFactor"

	// ReasonInvalidTopicConfig: the brokers refused topic.config; the message
	// says what. With Stalled.
	ReasonInvalidTopicConfig = "InvalidTopicConfig"

	// ReasonPartitionsBelowLive: topic.partitions is less than the topic has.
	// Kafka cannot remove partitions. With Stalled.
	ReasonPartitionsBelowLive = "PartitionsBelowLive"

	// ReasonTopicTaken: an elder LogPipeline has this topic. With Stalled.
	ReasonTopicTaken = "TopicTaken"

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

	// ReasonDeploymentFailed: the rollout made no progress for ten minutes;
	// the pods' events and logs say why.
	ReasonDeploymentFailed = "DeploymentFailed"

	// ReasonDeploymentMissing: the Deployment does not exist yet.
	ReasonDeploymentMissing = "DeploymentMissing"
)
