package main

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// watched is what the bench sees of the pipelines and their pods.
type watched struct {
	cache   cache.Cache
	cancel  context.CancelFunc
	running sync.WaitGroup

	mutex  sync.Mutex
	topics map[client.ObjectKey]*v1alpha1.TopicStatus
	ready  map[client.ObjectKey]bool
}

func watch(ctx context.Context, config *rest.Config, scheme *runtime.Scheme) (*watched, error) {
	c, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	w := &watched{cache: c, topics: map[client.ObjectKey]*v1alpha1.TopicStatus{}, ready: map[client.ObjectKey]bool{}}
	ctx, w.cancel = context.WithCancel(ctx)
	w.running.Go(func() { _ = c.Start(ctx) })
	informer, err := c.GetInformer(ctx, &v1alpha1.LogPipeline{})
	if err != nil {
		return nil, err
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    w.note,
		UpdateFunc: func(_, object any) { w.note(object) },
	})
	return w, err
}

func (w *watched) stop() {
	w.cancel()
	w.running.Wait()
}

func (w *watched) note(object any) {
	p, ok := object.(*v1alpha1.LogPipeline)
	if !ok {
		return
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	key := client.ObjectKeyFromObject(p)
	w.topics[key] = p.Status.Topic
	w.ready[key] = meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady)
}

func (w *watched) topic(key client.ObjectKey) *v1alpha1.TopicStatus {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.topics[key]
}

func (w *watched) countReady() (n int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, ready := range w.ready {
		if ready {
			n++
		}
	}
	return n
}

// onPods sends every pod that has no address yet.
func (w *watched) onPods(ctx context.Context, to chan<- *corev1.Pod) error {
	informer, err := w.cache.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return err
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: func(object any) {
		if pod, ok := object.(*corev1.Pod); ok && pod.Status.PodIP == "" {
			to <- pod
		}
	}})
	return err
}
