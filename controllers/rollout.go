package controllers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/controllers/resources"
)

// rolloutSeen is whether a pipeline may replace its pods.
type rolloutSeen struct {
	// held is the reason why it keeps the pods that it has; empty where it
	// doesn't wait.
	held    string
	message string
	// configs are the names of the ConfigMaps that stay as they are: pods that
	// stay read them, and this release would render others.
	configs []string
	// again is when to ask again.
	again time.Duration
}

// planRollout decides whether this pass may replace the pipeline's pods, and
// marks them if it does so for a new release of the operator, for which only
// so many pipelines may at a time. What the user changes goes at once.
func (r *Reconciler) planRollout(ctx context.Context, p *pass, want resources.Children) error {
	key, both := client.ObjectKeyFromObject(p.pipeline), []resources.Role{want.Ingester, want.Consumer}
	state, err := r.rolloutState(ctx, p, both)
	if err != nil {
		return err
	}
	if !state.underway {
		if len(state.kept) == 0 || p.pipeline.Spec.Suspend && p.stopping.consumers == 0 {
			r.rollouts.forget(key)
			return nil
		}
		seen, err := r.observeRollouts(ctx)
		if err != nil {
			return err
		}
		if p.rollout = r.rollouts.ask(key, r.Release, seen); p.rollout.held != "" {
			for _, desired := range both {
				p.rollout.keep(desired, state.kept[*desired.Deployment.GetName()])
			}
			return nil
		}
	}
	for _, desired := range both {
		resources.Rollout{Release: r.Release, Unwell: state.unwell}.Mark(desired.Deployment)
	}
	return nil
}

// keep leaves a role the pods that were applied, if any were, and what they read.
func (s *rolloutSeen) keep(desired resources.Role, applied *appsv1ac.DeploymentApplyConfiguration) {
	if applied == nil {
		return
	}
	if !resources.ReadsConfig(applied, desired.ConfigMap.Data) {
		s.configs = append(s.configs, *desired.ConfigMap.GetName())
	}
	resources.KeepPods(desired.Deployment, applied)
}

// rolloutState is how far the Deployments of a pipeline are.
type rolloutState struct {
	// underway: they are in a rollout, of this release or of one before.
	underway bool
	// unwell: they were not well before it.
	unwell bool
	// kept are, by name, what was applied of those whose pods would be replaced
	// for the release alone.
	kept map[string]*appsv1ac.DeploymentApplyConfiguration
}

func (r *Reconciler) rolloutState(ctx context.Context, p *pass, both []resources.Role) (rolloutState, error) {
	state := rolloutState{kept: map[string]*appsv1ac.DeploymentApplyConfiguration{}}
	for _, desired := range both {
		live, err := r.readDeployment(ctx, p, *desired.Deployment.GetName())
		if err != nil {
			return state, err
		}
		if live == nil {
			continue
		}
		rollout := resources.RolloutOf(live)
		state.underway = state.underway || rollout.Release != "" && !atRest(live)
		state.unwell = state.unwell || rollout.Unwell || rollout.Release == "" && !atRest(live)
		applied := replacedByRelease(live, desired.Deployment)
		if applied == nil {
			continue
		}
		if restart, err := r.mayRestart(ctx, p, desired, applied); err != nil {
			return state, err
		} else if restart {
			state.kept[live.Name] = applied
		}
	}
	return state, nil
}

// mayRestart tells whether pods that were applied find at a restart what they
// read: this release renders the same, or it is there. Where somebody has deleted
// or changed it, nobody can render it any more, and the pods don't wait for their
// turn: one that restarts would hang, or not fit its settings.
func (r *Reconciler) mayRestart(ctx context.Context, p *pass, desired resources.Role, applied *appsv1ac.DeploymentApplyConfiguration) (bool, error) {
	if resources.ReadsConfig(applied, desired.ConfigMap.Data) {
		return true, nil
	}
	live, err := readControlled[corev1.ConfigMap](ctx, r.Client, p.pipeline, *desired.ConfigMap.GetName())
	return live != nil && resources.ReadsConfig(applied, live.Data), err
}

// replacedByRelease returns what was applied of a Deployment whose pods would
// be replaced for no other reason than that another release renders them. Of
// one that doesn't say what it was made from, that is assumed.
func replacedByRelease(live *appsv1.Deployment, desired *appsv1ac.DeploymentApplyConfiguration) *appsv1ac.DeploymentApplyConfiguration {
	is, wanted := live.Annotations, desired.Annotations
	if is[resources.ReleaseAnnotation] == wanted[resources.ReleaseAnnotation] {
		return nil
	}
	if from, known := is[resources.SpecAnnotation]; known && from != wanted[resources.SpecAnnotation] {
		return nil
	}
	applied, err := appsv1ac.ExtractDeployment(live, fieldManager)
	if err != nil || applied.Spec == nil || applied.Spec.Template == nil || equality.Semantic.DeepEqual(applied.Spec.Template, desired.Spec.Template) {
		return nil
	}
	return applied
}

// atRest tells whether all pods are those of the template, and serve.
func atRest(d *appsv1.Deployment) bool {
	return statusIsCurrent(d) && rolledOut(d)
}

// observeRollouts reads from the cache how far the pipelines are with the
// release.
func (r *Reconciler) observeRollouts(ctx context.Context) (rolloutsSeen, error) {
	var all appsv1.DeploymentList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy, ours); err != nil {
		return rolloutsSeen{}, fmt.Errorf("list Deployments: %w", err)
	}
	return seeRollouts(all.Items, r.Release), nil
}

// rolloutsSeen are pipelines by how far they are with a release. It derives
// from the Deployments alone, so that an operator that takes over sees the same.
type rolloutsSeen struct {
	rolling map[client.ObjectKey]bool // failed ones among them
	failed  map[client.ObjectKey]bool
	waiting map[client.ObjectKey]bool
}

func seeRollouts(all []appsv1.Deployment, release string) rolloutsSeen {
	seen := rolloutsSeen{map[client.ObjectKey]bool{}, map[client.ObjectKey]bool{}, map[client.ObjectKey]bool{}}
	for i := range all {
		d := &all[i]
		pipeline, _ := resources.PodOf(d.Labels)
		key := client.ObjectKey{Namespace: d.Namespace, Name: pipeline}
		rollout, failed := resources.RolloutOf(d), statusIsCurrent(d) && rolloutFailed(d)
		switch {
		case rollout.Unwell && failed: // as it was before: it takes nobody's turn
		case rollout.Release != "" && !atRest(d): // one for the release before goes on as one for this
			seen.rolling[key] = true
			if rollout.Release == release && failed {
				seen.failed[key] = true
			}
		case d.Annotations[resources.ReleaseAnnotation] != release && *d.Spec.Replicas > 0:
			seen.waiting[key] = true
		}
	}
	for key := range seen.rolling {
		delete(seen.waiting, key)
	}
	return seen
}

// paused tells whether nobody else begins.
func (s rolloutsSeen) paused() bool { return len(s.failed) >= failuresToPause }

// waitFor is when to ask again: soon, but so that all who wait don't make more
// than some ten passes a second.
func (s rolloutsSeen) waitFor() time.Duration {
	wait := 5*time.Second + time.Duration(len(s.waiting))*100*time.Millisecond
	return wait + rand.N(wait/4)
}
