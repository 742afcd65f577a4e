package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// Ports of the pods, and the names that the Service, the probes and the
// NetworkPolicies use. The name of the first does not depend on TLS, so that
// turning it on moves nothing.
const (
	ingestPort     = 8080
	ingestPortName = "http"
	adminPort      = 9090
	adminPortName  = "admin"
)

// service is the stable address of the ingesters.
func service(p *v1alpha1.LogPipeline) *corev1ac.ServiceApplyConfiguration {
	r := role{component: IngesterComponent}
	return corev1ac.Service(IngesterName(p), p.Namespace).
		WithLabels(labels(p, r)).
		WithOwnerReferences(ownerReference(p)).
		WithSpec(corev1ac.ServiceSpec().
			WithType(corev1.ServiceTypeClusterIP).
			WithSelector(selectorLabels(p, r)).
			WithPorts(corev1ac.ServicePort().
				WithName(ingestPortName).
				WithProtocol(corev1.ProtocolTCP).
				WithAppProtocol(scheme(p)).
				WithPort(ingestPort).
				WithTargetPort(intstr.FromString(ingestPortName))))
}
