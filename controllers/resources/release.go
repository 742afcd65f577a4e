package resources

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// Annotations of a Deployment that say where its pods come from, so that what
// the user has changed can be told from what a new release of the operator has.
const (
	// ReleaseAnnotation is the release of the operator that made the pods'
	// template.
	ReleaseAnnotation = "ingest.logpipeline.io/release"
	// SpecAnnotation is the checksum of the spec that it was made from, but for
	// what replaces no pods.
	SpecAnnotation = "ingest.logpipeline.io/spec"
	// RolloutAnnotation is the release that the pods are being replaced for,
	// until all are; with unwellPrefix when they were not well before, either.
	// Whoever removes it has the next pipeline take its place.
	RolloutAnnotation = "ingest.logpipeline.io/rollout"
	unwellPrefix      = "from-unwell "
)

func origin(in Input) map[string]string {
	return map[string]string{ReleaseAnnotation: in.Release, SpecAnnotation: specChecksum(in.Pipeline)}
}

// specChecksum is the same for the same spec, whatever became of it before.
func specChecksum(p *v1alpha1.LogPipeline) string {
	spec := p.Spec // of which only fields of its own are changed
	spec.Suspend, spec.Ingester.Scaling, spec.Consumer.Scaling = false, nil, nil
	document, err := json.Marshal(spec)
	if err != nil {
		panic(err) // it came as JSON
	}
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:8])
}

// Rollout is the replacement of a Deployment's pods by those of a release.
type Rollout struct {
	Release string
	// Unwell says that the pods were not well before, so that the release is
	// not to blame if they don't get well.
	Unwell bool
}

// RolloutOf is the one that a Deployment is in; its Release is empty where it
// is in none.
func RolloutOf(d *appsv1.Deployment) Rollout {
	release, unwell := strings.CutPrefix(d.Annotations[RolloutAnnotation], unwellPrefix)
	return Rollout{Release: release, Unwell: unwell}
}

// Mark notes on a Deployment that it is in the rollout.
func (r Rollout) Mark(d *appsv1ac.DeploymentApplyConfiguration) {
	value := r.Release
	if r.Unwell {
		value = unwellPrefix + value
	}
	d.WithAnnotations(map[string]string{RolloutAnnotation: value})
}

// KeepPods has a Deployment keep the template that was applied before, and what
// it says of where that comes from.
func KeepPods(d, applied *appsv1ac.DeploymentApplyConfiguration) {
	d.Spec.Template = applied.Spec.Template
	d.Annotations = applied.Annotations
}

// ReadsConfig tells whether what a ConfigMap holds is the configuration for which
// the pods of a Deployment that was applied were made.
func ReadsConfig(applied *appsv1ac.DeploymentApplyConfiguration, data map[string]string) bool {
	template := applied.Spec.Template
	return template.ObjectMetaApplyConfiguration != nil && template.Annotations[checksumAnnotation] == checksum([]byte(data[configKey]))
}
