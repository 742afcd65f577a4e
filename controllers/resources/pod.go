package resources

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

const (
	containerName      = "ingester"
	checksumAnnotation = "ingest.logpipeline.io/config-checksum"

	// userID is the image's user and group, by number, so that the kubelet
	// can tell that it is not root.
	userID = 65532

	// drainSlackSeconds is what a pod's grace period has beyond its drain, for
	// the process to log what it left behind and to exit.
	drainSlackSeconds = 10
)

func podTemplate(in Input, r role, checksum string) *corev1ac.PodTemplateSpecApplyConfiguration {
	volumes, mounts := volumes(r)
	spec := corev1ac.PodSpec().
		WithServiceAccountName(r.object).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(r.graceSeconds).
		WithSecurityContext(podSecurity()).
		WithContainers(container(r, in.Image).WithVolumeMounts(mounts...)).
		WithVolumes(volumes...)
	schedule(spec, in.Pipeline, r)
	return corev1ac.PodTemplateSpec().
		WithLabels(plain(r.pod.Labels)).
		WithLabels(labels(in.Pipeline, r)).
		WithAnnotations(plain(r.pod.Annotations)).
		WithAnnotations(map[string]string{checksumAnnotation: checksum}).
		WithSpec(spec)
}

func container(r role, image string) *corev1ac.ContainerApplyConfiguration {
	return corev1ac.Container().
		WithName(containerName).
		WithImage(image).
		WithImagePullPolicy(corev1.PullIfNotPresent).
		WithArgs(r.command, "--config", configDir+"/"+configKey).
		WithEnv(corev1ac.EnvVar().WithName("GOMEMLIMIT").WithValue(strconv.FormatInt(goMemoryLimit(r.resources), 10))).
		WithEnv(r.env...).
		WithPorts(r.ports...).
		WithPorts(port(adminPortName, adminPort)).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError). // the operator quotes it
		WithResources(corev1ac.ResourceRequirements().WithRequests(r.resources.Requests).WithLimits(r.resources.Limits)).
		WithSecurityContext(containerSecurity()).
		WithStartupProbe(probe("/healthz").WithPeriodSeconds(2).WithFailureThreshold(startupProbes)).
		WithLivenessProbe(probe("/healthz").WithPeriodSeconds(10).WithFailureThreshold(6)).
		WithReadinessProbe(probe("/readyz").WithPeriodSeconds(2).WithFailureThreshold(2))
}

func port(name string, number int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(number).WithProtocol(corev1.ProtocolTCP)
}

// startupProbes, 2 s apart, give a pod two minutes to answer first, such as on
// a node that is busy.
const startupProbes = 60

// probe asks the process about itself. /healthz fails when the process is
// broken and a restart would help, /readyz while it cannot do its work; neither
// fails because Kafka is away, which no restart mends: that is what the
// operator's condition KafkaReachable tells.
func probe(path string) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(adminPortName))).
		WithTimeoutSeconds(5)
}

// podSecurity and containerSecurity satisfy the restricted Pod Security
// Standard, https://kubernetes.io/docs/concepts/security/pod-security-standards/.
func podSecurity() *corev1ac.PodSecurityContextApplyConfiguration {
	return corev1ac.PodSecurityContext().
		WithRunAsNonRoot(true).
		WithRunAsUser(userID).
		WithRunAsGroup(userID).
		WithFSGroup(userID).
		WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch).
		WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
}

func containerSecurity() *corev1ac.SecurityContextApplyConfiguration {
	return corev1ac.SecurityContext().
		WithAllowPrivilegeEscalation(false).
		WithReadOnlyRootFilesystem(true).
		WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))
}
