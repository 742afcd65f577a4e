package controllers

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// happening is an event that is still to be sent.
type happening struct{ kind, reason, action, note string }

// tell sends an event for each thing that the status says and did not say
// before, so there is none without a change of the status.
func (r *Reconciler) tell(p *v1alpha1.LogPipeline, after v1alpha1.LogPipelineStatus) {
	for _, h := range transitions(p.Status, after) {
		r.Events.Eventf(p, nil, h.kind, h.reason, h.action, "%s", h.note)
	}
}

// transitions are what a person would ask about. It is pure.
func transitions(before, after v1alpha1.LogPipelineStatus) []happening {
	var all []happening
	if a, b := before.Topic, after.Topic; a != nil && b != nil && a.ID == b.ID && a.Partitions != b.Partitions {
		all = append(all, happening{corev1.EventTypeNormal, "TopicResized", "ResizeTopic",
			fmt.Sprintf("topic %q has %d partitions now; it had %d", b.Name, b.Partitions, a.Partitions)})
	}
	switch was, is := suspendedBy(before), suspendedBy(after); {
	case is && !was:
		all = append(all, happening{corev1.EventTypeNormal, "Suspended", "Suspend", "spec.suspend is true: ingesters and consumers go"})
	case was && !is:
		all = append(all, happening{corev1.EventTypeNormal, "Resumed", "Resume", "spec.suspend is no longer true: ingesters and consumers come back"})
	}
	was, is := troubles(before), troubles(after)
	for _, now := range is {
		if !slices.ContainsFunc(was, func(c metav1.Condition) bool { return c.Type == now.Type && c.Reason == now.Reason }) {
			all = append(all, happening{corev1.EventTypeWarning, now.Reason, "Reconcile", toldOf(now, after)})
		}
	}
	for _, then := range was {
		c := meta.FindStatusCondition(after.Conditions, then.Type)
		if c != nil && c.Status != metav1.ConditionUnknown && !inTrouble(*c) {
			all = append(all, happening{corev1.EventTypeNormal, "Mended", "Reconcile",
				fmt.Sprintf("%s is no longer %s: %s", then.Type, then.Reason, c.Message)})
		}
	}
	return all
}

// suspendedBy tells whether a status is that of a suspended pipeline, of which a
// failure hides one condition at the most.
func suspendedBy(s v1alpha1.LogPipelineStatus) bool {
	return slices.ContainsFunc(s.Conditions, func(c metav1.Condition) bool {
		return (c.Type == v1alpha1.ConditionIngesterAvailable || c.Type == v1alpha1.ConditionConsumerAvailable) && c.Reason == v1alpha1.ReasonSuspended
	})
}

// toldOf adds what the operator will do about it.
func toldOf(c metav1.Condition, s v1alpha1.LogPipelineStatus) string {
	if stalled := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionStalled); stalled != nil && stalled.Reason == c.Reason {
		return c.Message + " (the pipeline is stalled until its spec is changed)"
	}
	return c.Message
}

// troubles are the conditions that somebody may have to do something about, each
// trouble once: Ready and Stalled repeat what another one says, unless there
// is none.
func troubles(s v1alpha1.LogPipelineStatus) []metav1.Condition {
	var found []metav1.Condition
	for _, c := range s.Conditions {
		if c.Type != v1alpha1.ConditionReady && inTrouble(c) {
			found = append(found, c)
		}
	}
	ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	if ready != nil && inTrouble(*ready) && !slices.ContainsFunc(found, func(c metav1.Condition) bool { return c.Reason == ready.Reason }) {
		found = append(found, *ready)
	}
	slices.SortFunc(found, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
	return found
}

// expected are reasons that come and go as pipelines start, roll and stop.
var expected = []string{
	v1alpha1.ReasonSuspended, v1alpha1.ReasonTerminating, v1alpha1.ReasonNotChecked, v1alpha1.ReasonProgressing,
	v1alpha1.ReasonDeploymentProgressing, v1alpha1.ReasonDeploymentMissing, v1alpha1.ReasonClaimPending, v1alpha1.ReasonRolloutQueued,
}

// warned are reasons of conditions that are True, and not as good as they could be.
var warned = []string{
	v1alpha1.ReasonWeakTopic, v1alpha1.ReasonReplicationFactorDiffers, v1alpha1.ReasonPartitionsExhausted, v1alpha1.ReasonScaleToZeroUnsupported,
}

// inTrouble knows nothing of Reconciling and Stalled, which are True when all is
// not well.
func inTrouble(c metav1.Condition) bool {
	if c.Type == v1alpha1.ConditionReconciling || c.Type == v1alpha1.ConditionStalled {
		return false
	}
	if c.Status == metav1.ConditionTrue {
		return slices.Contains(warned, c.Reason)
	}
	return c.Status == metav1.ConditionFalse && !slices.Contains(expected, c.Reason)
}

// cut keeps the beginning of a text, in whole characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
