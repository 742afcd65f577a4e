package scenario

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

// OperatorNamespace is where Install puts the operator.
const OperatorNamespace = "logpipeline-system"

// Images are the references of the two images, as the cluster knows them.
type Images struct{ Operator, Ingester string }

// CheckBroker runs a pod in the namespace that asks the brokers for their
// metadata, and returns what it says. It fails when they do not answer there.
func (c Cluster) CheckBroker(ctx context.Context, namespace string, images Images, brokers string) (string, error) {
	pod := "broker-check-" + strings.ToLower(rand.Text()[:8])
	remove := func(ctx context.Context) error {
		_, err := c.Run(ctx, "delete", "pod", pod, "-n", namespace, "--ignore-not-found", "--wait")
		return err
	}
	if err := c.Apply(ctx, fmt.Sprintf(brokerCheck, pod, namespace, images.Ingester, brokers)); err != nil {
		return "", err
	}
	var phase string
	err := eventually(ctx, func() (err error) {
		phase, err = c.Run(ctx, "get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.phase}")
		if err == nil && phase != "Succeeded" && phase != "Failed" {
			err = fmt.Errorf("pod %s is %s", pod, phase)
		}
		return err
	})
	said, logsErr := c.Run(ctx, "logs", pod, "-n", namespace)
	if err := errors.Join(err, logsErr, remove(context.WithoutCancel(ctx))); err != nil {
		return said, err
	}
	if phase != "Succeeded" {
		return said, fmt.Errorf("check brokers %s from a pod: %s", brokers, strings.TrimSpace(said))
	}
	return said, nil
}

const brokerCheck = `
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: check
    image: %s
    imagePullPolicy: IfNotPresent
    args: [check, --bootstrap-servers, %q]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`

// Install installs the chart, or upgrades to it, and waits for the operator.
func (c Cluster) Install(ctx context.Context, chart string, images Images) error {
	operatorRepository, operatorTag := split(images.Operator)
	ingesterRepository, ingesterTag := split(images.Ingester)
	_, err := run(ctx, "", c.Helm, "upgrade", "--install", "logpipeline", chart,
		"--kubeconfig", c.Kubeconfig, "--namespace", OperatorNamespace, "--create-namespace",
		"--set-string", "operator.image.repository="+operatorRepository, "--set-string", "operator.image.tag="+operatorTag,
		"--set-string", "ingester.image.repository="+ingesterRepository, "--set-string", "ingester.image.tag="+ingesterTag,
		"--wait", "--timeout", "2m")
	return err
}

// Uninstall removes the release; the CRD and with it the pipelines stay.
func (c Cluster) Uninstall(ctx context.Context) error {
	_, err := run(ctx, "", c.Helm, "uninstall", "logpipeline",
		"--kubeconfig", c.Kubeconfig, "--namespace", OperatorNamespace, "--ignore-not-found", "--wait")
	return err
}

func split(image string) (repository, tag string) {
	i := strings.LastIndexByte(image, ':')
	return image[:i], image[i+1:]
}
