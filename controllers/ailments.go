package controllers

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// ailment is what keeps a pod from being ready, in words that stay the same
// while that does: a pod that is started, or whose image is asked for, again
// and again has one, without numbers and times.
type ailment struct {
	// what continues a sentence about the pod; empty while nothing is known.
	what string
	// ask is the kubectl command that tells more; empty for askDescribe.
	ask string
	// words are the last of a process that ended; empty where it said none.
	words string
}

const (
	askDescribe = "describe pod"
	askPrevious = "logs --previous"
)

var ailmentUnready = ailment{what: "has not been ready for more than 5 minutes"}

// ailmentChanged lets a pod's events through when what is to be said of it is
// another now.
var ailmentChanged = predicate.Funcs{
	CreateFunc:  func(e event.CreateEvent) bool { return ailmentIn(e.Object) != ailment{} },
	UpdateFunc:  func(e event.UpdateEvent) bool { return ailmentIn(e.ObjectOld) != ailmentIn(e.ObjectNew) },
	DeleteFunc:  func(e event.DeleteEvent) bool { return ailmentIn(e.Object) != ailment{} },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

func ailmentIn(object client.Object) ailment {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return ailment{}
	}
	return ailmentOf(pod)
}

// ailmentOf is none for pods that are ready, that may become so by themselves,
// or that go.
func ailmentOf(pod *corev1.Pod) ailment {
	if pod.DeletionTimestamp != nil || ended(pod) || podReady(pod) {
		return ailment{}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return ailment{what: "cannot be scheduled: " + c.Message}
		}
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if a := containerAilment(s); a.what != "" {
			return a
		}
	}
	return ailment{}
}

// containerAilment knows the reasons of the kubelet, which has no constants
// that others may import. What it tells by turns, such as ErrImagePull and
// ImagePullBackOff, or a container that runs again, that has ended and that
// waits to be started, is the same here.
func containerAilment(s corev1.ContainerStatus) ailment {
	if waiting := s.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
			return ailment{what: fmt.Sprintf("cannot have the image %q of container %q: %s", s.Image, s.Name, pullCause(waiting))}
		case "CreateContainerConfigError":
			return ailment{what: fmt.Sprintf("cannot have container %q: %s", s.Name, waiting.Message)}
		case "CreateContainerError":
			return ailment{what: fmt.Sprintf("cannot have container %q: the node fails to create it", s.Name)}
		case "RunContainerError":
			return cannotStart(s.Name)
		}
	}
	for _, exit := range []*corev1.ContainerStateTerminated{s.State.Terminated, s.LastTerminationState.Terminated} {
		if exit != nil && !s.Ready {
			return exitAilment(s.Name, exit)
		}
	}
	return ailment{}
}

func cannotStart(container string) ailment {
	return ailment{what: fmt.Sprintf("cannot have container %q: the node fails to start it", container)}
}

func exitAilment(container string, exit *corev1.ContainerStateTerminated) ailment {
	switch exit.Reason {
	case "StartError", "ContainerCannotRun":
		return cannotStart(container)
	case "OOMKilled":
		return ailment{what: fmt.Sprintf("lost container %q, which was killed at its memory limit (OOMKilled)", container), ask: askPrevious}
	}
	what := fmt.Sprintf("lost container %q, which ended with exit code %d", container, exit.ExitCode)
	if exit.Message != "" {
		what += " and said: " + exit.Message
	}
	return ailment{what: what, ask: askPrevious, words: exit.Message}
}

// pullCause puts the causes for which an image is not there into words of its
// own: registries' answers hold addresses and times.
func pullCause(waiting *corev1.ContainerStateWaiting) string {
	text := strings.ToLower(waiting.Message)
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
	}
	switch {
	case waiting.Reason == "InvalidImageName":
		return "that is no name of an image"
	case waiting.Reason == "ErrImageNeverPull":
		return "it is not on the node, and may not be pulled"
	case says("unauthorized", "denied", "forbidden", "authentication required", "no basic auth"):
		return "its registry refuses it (imagePullSecrets?)"
	case says("not found", "manifest unknown", "notfound"):
		return "its registry does not have it"
	case says("no such host", "connection refused", "timeout", "unreachable", "deadline exceeded", "eof"):
		return "its registry does not answer"
	default:
		return "it cannot be pulled"
	}
}

// quoteLimit bounds what is quoted of others, in bytes.
const quoteLimit = 400

// quoted is a text of somebody else in one line.
func quoted(text string) string {
	return cut(strings.Join(strings.Fields(text), " "), quoteLimit)
}

// wordsBefore begin the line with which the process says why it ends.
const wordsBefore = "ingester "

// fleeting is what errors hold that is never the same: this side of a
// connection, in those of the net package, and what stores call a request.
var fleeting = regexp.MustCompile(`\S+:\d+->|(RequestID|HostID): [^,]*,? ?`)

// lastWords is why a process ended, if it said so, from its termination
// message, which is the end of its log.
func lastWords(message string) string {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, wordsBefore) {
		return ""
	}
	return quoted(fleeting.ReplaceAllString(last, ""))
}

// nodeCount is how many nodes there are for each cause; that changes as nodes
// come and go.
var nodeCount = regexp.MustCompile(`^\d+ `)

// scheduling is what the scheduler says of a pod, "0/3 nodes are available: 2
// Insufficient cpu, 1 node(s) were unschedulable. preemption: …", without the
// counts.
func scheduling(message string) string {
	message, _, _ = strings.Cut(message, " preemption:")
	if before, after, found := strings.Cut(message, " nodes are available: "); found && !strings.Contains(before, " ") {
		message = after
	}
	var causes []string
	for cause := range strings.SplitSeq(strings.TrimSuffix(message, "."), ", ") {
		causes = append(causes, nodeCount.ReplaceAllString(cause, ""))
	}
	slices.Sort(causes)
	return quoted(strings.Join(slices.Compact(causes), ", "))
}
