package resources

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// networkPolicy lets in who may send records and who may watch; it says
// nothing about what goes out unless the spec does.
func networkPolicy(in Input, r role) *networkingv1ac.NetworkPolicyApplyConfiguration {
	p, asked := in.Pipeline, in.Pipeline.Spec.NetworkPolicy
	if asked.Management == v1alpha1.NetworkPolicyNone {
		return nil
	}
	spec := networkingv1ac.NetworkPolicySpec().
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(selectorLabels(p, r))).
		WithPolicyTypes(networkingv1.PolicyTypeIngress)
	if len(r.ports) > 0 {
		spec.WithIngress(ingress(ingestPortName, peers(asked.IngressFrom)...))
	}
	spec.WithIngress(ingress(adminPortName, watchers(in)...))
	if len(asked.Egress) > 0 {
		spec.WithPolicyTypes(networkingv1.PolicyTypeEgress).WithEgress(nameResolution())
		for _, rule := range asked.Egress {
			spec.WithEgress(egress(rule))
		}
	}
	return networkingv1ac.NetworkPolicy(r.object, p.Namespace).
		WithLabels(labels(p, r)).
		WithOwnerReferences(ownerReference(p)).
		WithSpec(spec)
}

// ingress lets peers in at a port; without any, everybody.
func ingress(port string, from ...*networkingv1ac.NetworkPolicyPeerApplyConfiguration) *networkingv1ac.NetworkPolicyIngressRuleApplyConfiguration {
	return networkingv1ac.NetworkPolicyIngressRule().
		WithPorts(networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromString(port))).
		WithFrom(from...)
}

// egress is a rule of the spec, with what the API server would fill in: it
// would differ from ours for ever otherwise.
func egress(asked networkingv1.NetworkPolicyEgressRule) *networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration {
	rule := applied[networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration](asked)
	for i := range rule.Ports {
		if rule.Ports[i].Protocol == nil {
			rule.Ports[i].WithProtocol(corev1.ProtocolTCP)
		}
	}
	return rule
}

// watchers read metrics and signals: those that the spec names and the
// operator, or every pod of the cluster.
func watchers(in Input) []*networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	asked := in.Pipeline.Spec.NetworkPolicy.MetricsFrom
	if len(asked) == 0 {
		return []*networkingv1ac.NetworkPolicyPeerApplyConfiguration{
			networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(metav1ac.LabelSelector()),
		}
	}
	allowed := peers(asked)
	if in.OperatorNamespace != "" {
		allowed = append(allowed, networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(
			metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: in.OperatorNamespace})))
	}
	return allowed
}

func peers(asked []networkingv1.NetworkPolicyPeer) []*networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	var all []*networkingv1ac.NetworkPolicyPeerApplyConfiguration
	for _, peer := range asked {
		all = append(all, applied[networkingv1ac.NetworkPolicyPeerApplyConfiguration](peer))
	}
	return all
}

// nameResolution lets a pod find the addresses of those whom it may reach.
func nameResolution() *networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration {
	rule := networkingv1ac.NetworkPolicyEgressRule()
	for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
		rule.WithPorts(networkingv1ac.NetworkPolicyPort().WithProtocol(protocol).WithPort(intstr.FromInt32(53)))
	}
	return rule
}
