package resources

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

const (
	containerName      = "ingester"
	checksumAnnotation = "ingest.logpipeline.io/config-checksum"

	configDir    = "/etc/logpipeline"
	configVolume = "config"
	dataDir      = "/data"
	dataVolumeID = "data"

	// userID is the image's user and group, by number, so that the kubelet
	// can tell that it is not root.
	userID = 65532

	// drainSlackSeconds is what a pod's grace period has beyond its drain, for
	// the process to log what it left behind and to exit.
	drainSlackSeconds = 10
)

func podTemplate(p *v1alpha1.LogPipeline, r role, in Input, checksum string) *corev1ac.PodTemplateSpecApplyConfiguration {
	spec := corev1ac.PodSpec().
		WithServiceAccountName(SharedName(p)).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(gracePeriodSeconds(in.Config.Drain)).
		WithSecurityContext(podSecurity()).
		WithContainers(container(r, in.Image)).
		WithVolumes(corev1ac.Volume().WithName(configVolume).
			WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(SharedName(p))))
	if r.data != nil {
		spec.WithVolumes(r.data)
	}
	return corev1ac.PodTemplateSpec().
		WithLabels(roleLabels(p, r.name)).
		WithAnnotations(map[string]string{checksumAnnotation: checksum}).
		WithSpec(spec)
}

// gracePeriodSeconds is longer than the drain, which reads the same values
// from the configuration.
func gracePeriodSeconds(drain config.Drain) int64 {
	return int64(drain.DelaySeconds) + int64(drain.TimeoutSeconds) + drainSlackSeconds
}

func container(r role, image string) *corev1ac.ContainerApplyConfiguration {
	c := corev1ac.Container().
		WithName(containerName).
		WithImage(image).
		WithImagePullPolicy(corev1.PullIfNotPresent).
		WithArgs(r.command, "--config", configDir+"/"+configKey).
		WithEnv(corev1ac.EnvVar().WithName("GOMEMLIMIT").WithValue(strconv.FormatInt(goMemoryLimit(r.resources), 10))).
		WithPorts(r.ports...).
		WithPorts(port(adminPortName, adminPort)).
		WithResources(corev1ac.ResourceRequirements().WithRequests(r.resources.Requests).WithLimits(r.resources.Limits)).
		WithSecurityContext(containerSecurity()).
		WithLivenessProbe(probe("/healthz").WithPeriodSeconds(10).WithFailureThreshold(6)).
		WithReadinessProbe(probe("/readyz").WithPeriodSeconds(2).WithFailureThreshold(2)).
		WithVolumeMounts(corev1ac.VolumeMount().WithName(configVolume).WithMountPath(configDir).WithReadOnly(true))
	if r.data != nil {
		c.WithVolumeMounts(corev1ac.VolumeMount().WithName(dataVolumeID).WithMountPath(dataDir))
	}
	return c
}

func port(name string, number int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(number).WithProtocol(corev1.ProtocolTCP)
}

func probe(path string) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(adminPortName))).
		WithTimeoutSeconds(5)
}

// dataVolume holds the chain and the segments.
func dataVolume(storage v1alpha1.StorageSpec) *corev1ac.VolumeApplyConfiguration {
	volume := corev1ac.Volume().WithName(dataVolumeID)
	if claim := storage.PersistentVolumeClaim; claim != nil {
		return volume.WithPersistentVolumeClaim(
			corev1ac.PersistentVolumeClaimVolumeSource().WithClaimName(claim.ClaimName))
	}
	empty := corev1ac.EmptyDirVolumeSource()
	if storage.Ephemeral != nil && storage.Ephemeral.SizeLimit != nil {
		empty.WithSizeLimit(*storage.Ephemeral.SizeLimit)
	}
	return volume.WithEmptyDir(empty)
}

// scratchSlack is what the file system takes of a volume beside its files.
const scratchSlack = 64 * mebibyte

// scratchVolume holds what an ingester keeps on disk: dead letters while Kafka
// is away, and the spool. It outlives a container, not its pod; its limit is
// above what the ingester bounds by itself.
func scratchVolume(c config.Config) *corev1ac.VolumeApplyConfiguration {
	limit := int64(c.DeadLetter.MaxBytes) + int64(c.Spool.MaxBytes) + scratchSlack
	return corev1ac.Volume().WithName(dataVolumeID).WithEmptyDir(
		corev1ac.EmptyDirVolumeSource().WithSizeLimit(*resource.NewQuantity(limit, resource.BinarySI)))
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
