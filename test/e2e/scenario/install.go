package scenario

import (
	"context"
	"strings"
)

// OperatorNamespace is where Install puts the operator.
const OperatorNamespace = "logpipeline-system"

// Images are the references of the two images, as the cluster knows them.
type Images struct{ Operator, Ingester string }

// Install installs the chart, or upgrades to it, with values such as
// operator.replicas=2, and waits for the operator.
func (c Cluster) Install(ctx context.Context, chart string, images Images, values ...string) error {
	operatorRepository, operatorTag := split(images.Operator)
	ingesterRepository, ingesterTag := split(images.Ingester)
	arguments := []string{"upgrade", "--install", "logpipeline", chart,
		"--kubeconfig", c.Kubeconfig, "--namespace", OperatorNamespace, "--create-namespace",
		"--set-string", "operator.image.repository=" + operatorRepository, "--set-string", "operator.image.tag=" + operatorTag,
		"--set-string", "ingester.image.repository=" + ingesterRepository, "--set-string", "ingester.image.tag=" + ingesterTag,
		"--wait", "--timeout", "2m"}
	for _, value := range values {
		arguments = append(arguments, "--set", value)
	}
	_, err := run(ctx, "", c.Helm, arguments...)
	return err
}

// Uninstall removes the release and waits until no operator runs; the CRD and
// with it the pipelines stay.
func (c Cluster) Uninstall(ctx context.Context) error {
	_, err := run(ctx, "", c.Helm, "uninstall", "logpipeline",
		"--kubeconfig", c.Kubeconfig, "--namespace", OperatorNamespace, "--ignore-not-found", "--wait")
	if err != nil {
		return err
	}
	_, err = c.Run(ctx, "wait", "--for=delete", "pods", "-n", OperatorNamespace, "-l", "app.kubernetes.io/name=logpipeline-operator", "--timeout=1m")
	return err
}

func split(image string) (repository, tag string) {
	i := strings.LastIndexByte(image, ':')
	return image[:i], image[i+1:]
}
