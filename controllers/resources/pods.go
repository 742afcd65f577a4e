package resources

import (
	"net"
	"strconv"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// Values of the label app.kubernetes.io/component.
const (
	IngesterComponent = "ingester"
	ConsumerComponent = "consumer"
)

// PodOf tells from the labels of a pod that has ManagedByLabel which pipeline
// of its namespace it belongs to, and what it is of that.
func PodOf(labels map[string]string) (pipeline, component string) {
	return labels["app.kubernetes.io/instance"], labels["app.kubernetes.io/component"]
}

// PodLabels are what all pods of one role of a pipeline have.
func PodLabels(p *v1alpha1.LogPipeline, component string) map[string]string {
	return selectorLabels(p, role{component: component})
}

// AdminAddress is where the pod at an IP address serves its signals.
func AdminAddress(ip string) string { return net.JoinHostPort(ip, strconv.Itoa(adminPort)) }
