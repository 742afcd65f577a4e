package scenario

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// CheckBroker runs a pod in the namespace that asks the brokers for their
// metadata, and returns what it says. It fails when they do not answer there.
func (c Cluster) CheckBroker(ctx context.Context, namespace string, images Images, brokers string) (string, error) {
	succeeded, said, err := c.once(ctx, namespace, images.Ingester, "", "check", "--bootstrap-servers", brokers)
	if err == nil && !succeeded {
		err = fmt.Errorf("check brokers %s from a pod: %s", brokers, strings.TrimSpace(said))
	}
	return said, err
}

// once runs the ingester's binary in a pod until it ends, and returns what it
// said. A claim is mounted at /data, where one is named.
func (c Cluster) once(ctx context.Context, namespace, image, claim string, arguments ...string) (succeeded bool, said string, err error) {
	pod := arguments[0] + "-" + strings.ToLower(rand.Text()[:8])
	if err := c.Apply(ctx, oncePod(pod, namespace, image, claim, arguments)); err != nil {
		return false, "", err
	}
	var phase string
	err = Eventually(ctx, func() (err error) {
		phase, err = c.Run(ctx, "get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.phase}")
		if err == nil && phase != "Succeeded" && phase != "Failed" {
			err = fmt.Errorf("pod %s is %s", pod, phase)
		}
		return err
	})
	said, logsErr := c.Run(ctx, "logs", pod, "-n", namespace)
	_, deleteErr := c.Run(context.WithoutCancel(ctx), "delete", "pod", pod, "-n", namespace, "--ignore-not-found", "--wait")
	return phase == "Succeeded", said, errors.Join(err, logsErr, deleteErr)
}

func oncePod(name, namespace, image, claim string, arguments []string) string {
	args, _ := json.Marshal(arguments) // strings always marshal
	mounts, volumes := "[]", "[]"
	if claim != "" {
		mounts = "[{name: data, mountPath: /data}]"
		volumes = "[{name: data, persistentVolumeClaim: {claimName: " + claim + "}}]"
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, fsGroupChangePolicy: OnRootMismatch, seccompProfile: {type: RuntimeDefault}}
  volumes: %s
  containers:
  - name: once
    image: %s
    imagePullPolicy: IfNotPresent
    args: %s
    volumeMounts: %s
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`, name, namespace, volumes, image, args, mounts)
}
