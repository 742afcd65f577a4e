package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

// podTrouble is why a pod is not there. The zero value is none.
type podTrouble struct {
	namespace, pod string
	ailment        ailment
}

// longUnready is from when on a pod counts as one that does not get ready,
// although nothing else is known to be wrong with it.
const longUnready = 5 * time.Minute

// observePods finds out why pods of a Deployment are missing, where they are.
func (r *Reconciler) observePods(ctx context.Context, p *pass, component string, seen *deploymentSeen) error {
	if !seen.incomplete() {
		return nil
	}
	pods, err := r.podsOf(ctx, p.pipeline, component)
	seen.trouble = troubleOf(pods, r.Now())
	return err
}

// podsOf reads the pods of a role from the cache, to which they belong.
func (r *Reconciler) podsOf(ctx context.Context, p *v1alpha1.LogPipeline, component string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	labels := client.MatchingLabels(resources.PodLabels(p, component))
	if err := r.Client.List(ctx, &pods, client.UnsafeDisableDeepCopy, client.InNamespace(p.Namespace), labels); err != nil {
		return nil, fmt.Errorf("list pods of %s of LogPipeline %q: %w", component, p.Name, err)
	}
	return pods.Items, nil
}

// troubleOf names one pod, the same one as long as the pods and their states
// are the same: the first by name of those of which it is known what ails
// them, or else of those that don't get ready.
func troubleOf(pods []corev1.Pod, now time.Time) (found podTrouble) {
	byName := slices.SortedFunc(slices.Values(pods), func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	for i := range byName {
		pod := &byName[i]
		switch ailment := ailmentOf(pod); {
		case ailment.what != "" && !recovered(pod, now):
			return podTrouble{pod.Namespace, pod.Name, ailment}
		case found.pod == "" && unreadyFor(pod, now) >= longUnready:
			found = podTrouble{pod.Namespace, pod.Name, ailmentUnready}
		}
	}
	return found
}

// recovered tells that the process goes on since it last ended, and that the
// end can't be why it is not ready.
func recovered(pod *corev1.Pod, now time.Time) bool {
	return !slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.State.Running == nil || now.Sub(s.State.Running.StartedAt.Time) < longUnready
	}) && len(pod.Status.ContainerStatuses) > 0
}

// unreadyFor is 0 also for pods that come or go, whose time to be ready is not
// now.
func unreadyFor(pod *corev1.Pod, now time.Time) time.Duration {
	if pod.DeletionTimestamp != nil || ended(pod) {
		return 0
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue && !c.LastTransitionTime.IsZero() {
			return now.Sub(c.LastTransitionTime.Time)
		}
	}
	return 0
}

func podReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// ended pods are replaced by others.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// String names the pod and what a person can ask it.
func (t podTrouble) String() string {
	return fmt.Sprintf("pod %q %s; for more: kubectl %s -n %s %s", t.pod, t.ailment.what, cmp.Or(t.ailment.ask, askDescribe), t.namespace, t.pod)
}

// slimPod keeps of a pod what this package reads, before it is put into the
// cache: there may be thousands.
func slimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	slim := &corev1.Pod{
		TypeMeta: pod.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			Labels: pod.Labels, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Status: corev1.PodStatus{Phase: pod.Status.Phase, PodIP: pod.Status.PodIP},
	}
	for _, c := range pod.Status.Conditions {
		switch c.Type {
		case corev1.PodReady:
			slim.Status.Conditions = append(slim.Status.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime})
		case corev1.PodScheduled:
			if c.Status != corev1.ConditionTrue {
				slim.Status.Conditions = append(slim.Status.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: scheduling(c.Message)})
			}
		}
	}
	slim.Status.InitContainerStatuses = slimContainers(pod.Status.InitContainerStatuses)
	slim.Status.ContainerStatuses = slimContainers(pod.Status.ContainerStatuses)
	return slim, nil
}

// slimContainers keeps those that are not ready.
func slimContainers(all []corev1.ContainerStatus) (slim []corev1.ContainerStatus) {
	for _, s := range all {
		if s.Ready {
			continue
		}
		kept := corev1.ContainerStatus{Name: s.Name, Image: s.Image}
		if w := s.State.Waiting; w != nil {
			kept.State.Waiting = &corev1.ContainerStateWaiting{Reason: w.Reason, Message: quoted(w.Message)}
		}
		if running := s.State.Running; running != nil {
			kept.State.Running = &corev1.ContainerStateRunning{StartedAt: running.StartedAt}
		}
		kept.State.Terminated = slimExit(s.State.Terminated)
		kept.LastTerminationState.Terminated = slimExit(s.LastTerminationState.Terminated)
		slim = append(slim, kept)
	}
	return slim
}

func slimExit(t *corev1.ContainerStateTerminated) *corev1.ContainerStateTerminated {
	if t == nil {
		return nil
	}
	return &corev1.ContainerStateTerminated{Reason: t.Reason, ExitCode: t.ExitCode, Message: lastWords(t.Message)}
}
