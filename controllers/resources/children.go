// Package resources turns a LogPipeline into the objects that are wanted for
// it. It is pure: the same input gives the same objects, and nothing is read
// from or written to an API server. Golden files under testdata show what
// comes out.
package resources

import (
	"crypto/sha256"
	"encoding/hex"

	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// Input is all that the children depend on.
type Input struct {
	Pipeline *v1alpha1.LogPipeline
	// Configs are what Config returned for the pipeline.
	Configs Configs
	// Draining consumers go on although the pipeline is suspended.
	Draining int32
	// Partitions that the topic has; 0 while that is not known.
	Partitions int32
	// SingleNode says that one node alone can mount the claim that is stored
	// in.
	SingleNode bool
	// Image of the ingester binary, for both roles.
	Image string
	// Release of the operator, which may render the same spec differently.
	Release string
	// OperatorNamespace is where the operator runs, which reads the signals of
	// the pods; empty where it is not known.
	OperatorNamespace string
	// Server is what the API server takes.
	Server Server
}

// Server is what an API server takes that others refuse or drop.
type Server struct {
	// ScaleToZero: HorizontalPodAutoscalers may have minReplicas 0.
	ScaleToZero bool
	// Tolerance: HorizontalPodAutoscalers may have a tolerance of their own.
	Tolerance bool
}

// Children are the objects of one pipeline.
type Children struct {
	Ingester Role
	Consumer Role
	// Service is the stable address of the ingesters.
	Service *corev1ac.ServiceApplyConfiguration
}

// Role are the objects of one role, in the order in which they are applied: a
// pod never waits for what it refers to. What is nil is not wanted: where it
// exists, it is to be removed.
type Role struct {
	ServiceAccount *corev1ac.ServiceAccountApplyConfiguration
	ConfigMap      *corev1ac.ConfigMapApplyConfiguration
	NetworkPolicy  *networkingv1ac.NetworkPolicyApplyConfiguration
	Budget         *policyv1ac.PodDisruptionBudgetApplyConfiguration
	// Deployment has no replicas where an autoscaler, ours or another, decides
	// on them.
	Deployment *appsv1ac.DeploymentApplyConfiguration
	// FirstReplicas are how many there are until it has.
	FirstReplicas int32
	Autoscaler    *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration
}

// Build returns the objects that are wanted.
func Build(in Input) (Children, error) {
	ingester, err := buildRole(in, ingesterRole(in), in.Configs.Ingester)
	if err != nil {
		return Children{}, err
	}
	consumer, err := buildRole(in, consumerRole(in), in.Configs.Consumer)
	if err != nil {
		return Children{}, err
	}
	return Children{Ingester: ingester, Consumer: consumer, Service: service(in.Pipeline)}, nil
}

func buildRole(in Input, r role, c config.Config) (Role, error) {
	document, err := c.Marshal()
	if err != nil {
		return Role{}, err
	}
	return Role{
		ServiceAccount: serviceAccount(in.Pipeline, r),
		ConfigMap:      configMap(in.Pipeline, r, document),
		NetworkPolicy:  networkPolicy(in, r),
		Budget:         disruptionBudget(in.Pipeline, r),
		Deployment:     deployment(in, r, checksum(document)),
		FirstReplicas:  r.first,
		Autoscaler:     r.autoscaler,
	}, nil
}

// checksum stands on the pod template, so that pods are replaced when the
// configuration that they read at their start has changed. What Secrets hold
// is not in it: pods reload that.
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
