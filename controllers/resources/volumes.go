package resources

import (
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

const (
	configDir    = "/etc/logpipeline"
	configVolume = "config"
	dataDir      = "/data"
	dataVolumeID = "data"
)

// secretMode lets the group of the pod read, and nobody write.
const secretMode = 0o440

// volumes of a pod, and where its container has them.
func volumes(r role) (volumes []*corev1ac.VolumeApplyConfiguration, mounts []*corev1ac.VolumeMountApplyConfiguration) {
	add := func(volume *corev1ac.VolumeApplyConfiguration, path string, readOnly bool) {
		mount := corev1ac.VolumeMount().WithName(*volume.Name).WithMountPath(path)
		if readOnly {
			mount.WithReadOnly(true)
		}
		volumes, mounts = append(volumes, volume), append(mounts, mount)
	}
	add(corev1ac.Volume().WithName(configVolume).
		WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(r.object)), configDir, true)
	add(r.data, dataDir, false)
	for _, m := range r.secrets {
		if m.volume != "" {
			add(secretVolume(m), secretDir(m.volume), true)
		}
	}
	return volumes, mounts
}

// secretVolume has no more of a Secret than is needed: one that holds a CA
// may also hold its key.
func secretVolume(m mount) *corev1ac.VolumeApplyConfiguration {
	source := corev1ac.SecretVolumeSource().WithSecretName(m.Name).WithDefaultMode(secretMode)
	for _, key := range m.Keys {
		source.WithItems(corev1ac.KeyToPath().WithKey(key).WithPath(key))
	}
	return corev1ac.Volume().WithName(m.volume).WithSecret(source)
}

// dataVolume holds the chain and the segments; for an object store, what waits
// to be uploaded.
func dataVolume(storage v1alpha1.StorageSpec, c config.Config) *corev1ac.VolumeApplyConfiguration {
	switch {
	case storage.PersistentVolumeClaim != nil:
		return corev1ac.Volume().WithName(dataVolumeID).WithPersistentVolumeClaim(
			corev1ac.PersistentVolumeClaimVolumeSource().WithClaimName(storage.PersistentVolumeClaim.ClaimName))
	case storage.ObjectStore != nil:
		return scratch(stagingDisk(c))
	case storage.Ephemeral != nil && storage.Ephemeral.SizeLimit != nil:
		return scratch(storage.Ephemeral.SizeLimit.Value())
	default:
		return corev1ac.Volume().WithName(dataVolumeID).WithEmptyDir(corev1ac.EmptyDirVolumeSource())
	}
}

// scratch outlives a container, not its pod. Its limit is above what the
// process bounds by itself: who exceeds it is evicted.
func scratch(bytes int64) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(dataVolumeID).WithEmptyDir(
		corev1ac.EmptyDirVolumeSource().WithSizeLimit(*resource.NewQuantity(bytes, resource.BinarySI)))
}
