// Package resources turns a LogPipeline into the objects that are wanted for
// it. It is pure: the same input gives the same objects, and nothing is read
// from or written to an API server. Golden files under testdata show what
// comes out.
package resources

import (
	"crypto/sha256"
	"encoding/hex"

	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// Input is all that the children depend on.
type Input struct {
	Pipeline *v1alpha1.LogPipeline
	// Config is what Config returned for the pipeline.
	Config config.Config
	// Partitions that the topic has.
	Partitions int32
	// Image of the ingester binary, for both roles.
	Image string
}

// Children are the objects of one pipeline, in the order in which they are
// applied: a pod never waits for what it refers to.
type Children struct {
	ServiceAccount *corev1ac.ServiceAccountApplyConfiguration
	ConfigMap      *corev1ac.ConfigMapApplyConfiguration
	Service        *corev1ac.ServiceApplyConfiguration
	Ingester       *appsv1ac.DeploymentApplyConfiguration
	Consumer       *appsv1ac.DeploymentApplyConfiguration
}

// Build returns the objects that are wanted.
func Build(in Input) (Children, error) {
	document, err := in.Config.Marshal()
	if err != nil {
		return Children{}, err
	}
	return Children{
		ServiceAccount: serviceAccount(in.Pipeline),
		ConfigMap:      configMap(in.Pipeline, document),
		Service:        service(in.Pipeline),
		Ingester:       ingester(in, checksum(document)),
		Consumer:       consumer(in, checksum(document)),
	}, nil
}

// checksum stands on the pod templates, so that pods are replaced when the
// configuration that they read at their start has changed.
func checksum(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:])
}

// ownerReference makes the pipeline the controller of a child, so that the
// child goes with it.
func ownerReference(p *v1alpha1.LogPipeline) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind("LogPipeline").
		WithName(p.Name).
		WithUID(p.UID).
		WithController(true).
		WithBlockOwnerDeletion(true)
}
