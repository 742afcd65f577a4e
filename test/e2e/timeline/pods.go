package timeline

import (
	"context"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/logpipeline/logpipeline/ingester/signal"
)

// Pod is what was seen of a pod of the pipeline, of whatever workload.
type Pod struct {
	Name, Component, Template string
	Restarts                  int32
	// Signals are the last that it gave; they stay when it has gone.
	Signals signal.Signals
}

func (w *Watch) lookAtPods(ctx context.Context) (map[string]*Pod, error) {
	var list corev1.PodList
	path := "/api/v1/namespaces/" + w.Pipeline.Namespace + "/pods"
	selector := "app.kubernetes.io/instance=" + w.Pipeline.Name
	if err := w.API.Get(ctx, path+"?labelSelector="+url.QueryEscape(selector), &list); err != nil {
		return nil, err
	}
	pods := map[string]*Pod{}
	for _, p := range list.Items {
		pod := &Pod{Name: p.Name, Component: p.Labels["app.kubernetes.io/component"], Template: p.Labels["pod-template-hash"]}
		for _, c := range p.Status.ContainerStatuses {
			pod.Restarts += c.RestartCount
		}
		if pod.Component == w.Component { // one that starts, or has just gone, says nothing
			_ = w.API.Get(ctx, path+"/"+p.Name+":9090/proxy"+signal.Path, &pod.Signals)
		}
		pods[string(p.UID)] = pod
	}
	return pods, nil
}

// keep is called with the lock held.
func (w *Watch) keep(pods map[string]*Pod) {
	if w.pods == nil {
		w.pods = map[string]*Pod{}
	}
	for uid, pod := range pods {
		if before := w.pods[uid]; before != nil && pod.Signals.Version == 0 {
			pod.Signals = before.Signals
		}
		w.pods[uid] = pod
	}
}

// Pods are all of a workload that have been seen, in the order of their names.
func (w *Watch) Pods(component string) []Pod {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var pods []Pod
	for _, p := range w.pods {
		if p.Component == component {
			pods = append(pods, *p)
		}
	}
	slices.SortFunc(pods, func(a, b Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods
}
