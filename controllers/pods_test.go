package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/test/await"
)

// podAt is a pod that a kubelet has, and that is not ready, then changed, as
// the cache keeps it.
func podAt(t *testing.T, changes ...func(*corev1.PodStatus)) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "logs", Name: "orders-a"}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
	for _, change := range changes {
		change(&pod.Status)
	}
	slim, err := slimPod(pod)
	if err != nil {
		t.Fatal(err)
	}
	return slim.(*corev1.Pod)
}

func containers(all ...corev1.ContainerStatus) func(*corev1.PodStatus) {
	for i := range all {
		all[i].Name, all[i].Image = "ingester", "registry/ingester:1"
	}
	return func(s *corev1.PodStatus) { s.ContainerStatuses = all }
}

func waitingFor(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func endedWith(code int32, reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}}
}

var runningNow = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}

func TestAilmentTellsWhatIsWrongWithAPod(t *testing.T) {
	ready := func(s *corev1.PodStatus) { s.Conditions[0].Status = corev1.ConditionTrue }
	scheduled := func(message string) func(*corev1.PodStatus) {
		return func(s *corev1.PodStatus) {
			s.Phase = corev1.PodPending
			s.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message}}
		}
	}
	tests := map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"starting":               {podAt(t, containers(corev1.ContainerStatus{State: waitingFor("ContainerCreating", "")})), ""},
		"running, not ready yet": {podAt(t, containers(corev1.ContainerStatus{State: runningNow})), ""},
		"ready after a crash": {
			podAt(t, ready, containers(corev1.ContainerStatus{Ready: true, State: runningNow, LastTerminationState: endedWith(1, "Error", "")})), "",
		},
		"evicted": {podAt(t, func(s *corev1.PodStatus) { s.Phase = corev1.PodFailed }, containers(corev1.ContainerStatus{State: endedWith(137, "Error", "")})), ""},
		"init container of others is done": {
			podAt(t, func(s *corev1.PodStatus) {
				s.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", Ready: true, State: endedWith(0, "Completed", "")}}
			}), "",
		},
		"init container of others fails": {
			podAt(t, func(s *corev1.PodStatus) {
				s.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", State: waitingFor("CrashLoopBackOff", "back-off 10s"), LastTerminationState: endedWith(3, "Error", "")}}
			}, containers(corev1.ContainerStatus{State: waitingFor("PodInitializing", "")})),
			`lost container "init", which ended with exit code 3`,
		},
		"no node takes it": {
			podAt(t, scheduled("0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.")),
			"cannot be scheduled: Insufficient cpu, node(s) were unschedulable",
		},
		"no node takes it, for another reason": {
			podAt(t, scheduled(`running PreFilter plugin "VolumeBinding": persistentvolumeclaim "archive" not found`)),
			`cannot be scheduled: running PreFilter plugin "VolumeBinding": persistentvolumeclaim "archive" not found`,
		},
		"Secret is missing": {
			podAt(t, containers(corev1.ContainerStatus{State: waitingFor("CreateContainerConfigError", `secret "kafka" not found`)})),
			`cannot have container "ingester": secret "kafka" not found`,
		},
		"node fails": {
			podAt(t, containers(corev1.ContainerStatus{State: waitingFor("CreateContainerError", `name is reserved for "8f3"`)})),
			`cannot have container "ingester": the node fails to create it`,
		},
		"out of memory": {
			podAt(t, containers(corev1.ContainerStatus{State: waitingFor("CrashLoopBackOff", "back-off 20s"), LastTerminationState: endedWith(137, "OOMKilled", "")})),
			`lost container "ingester", which was killed at its memory limit (OOMKilled)`,
		},
		"process says why": {
			podAt(t, containers(corev1.ContainerStatus{State: waitingFor("CrashLoopBackOff", ""), LastTerminationState: endedWith(1, "Error",
				"time=2026-11-24 level=INFO msg=starting\ningester consume: read config: topic is empty\n")})),
			`lost container "ingester", which ended with exit code 1 and said: ingester consume: read config: topic is empty`,
		},
		"process says how it was connected": {
			podAt(t, containers(corev1.ContainerStatus{State: endedWith(1, "Error", "ingester consume: read tcp 10.0.0.1:41234->10.0.0.2:9092: connection reset")})),
			`lost container "ingester", which ended with exit code 1 and said: ingester consume: read tcp 10.0.0.2:9092: connection reset`,
		},
		"process panics": {
			podAt(t, containers(corev1.ContainerStatus{State: endedWith(2, "Error", "panic: runtime error\n\ngoroutine 7 [running]:\nmain.go:3 +0x1d")})),
			`lost container "ingester", which ended with exit code 2`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ailmentOf(test.pod).what); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Else there would be a write of the status for each turn.
func TestAilmentIsTheSameOverTheTurnsOfAPod(t *testing.T) {
	const pull = `rpc error: code = NotFound desc = failed to pull "registry/ingester:1": not found`
	crash := endedWith(1, "Error", "ingester serve: no")
	for name, turns := range map[string][]corev1.ContainerStatus{
		"crashes": {
			{State: crash},
			{State: runningNow, LastTerminationState: crash, RestartCount: 1},
			{State: waitingFor("CrashLoopBackOff", "back-off 10s restarting"), LastTerminationState: crash, RestartCount: 1},
			{State: waitingFor("CrashLoopBackOff", "back-off 5m0s restarting"), LastTerminationState: crash, RestartCount: 9},
		},
		"image is missing": {
			{State: waitingFor("ErrImagePull", pull)},
			{State: waitingFor("ImagePullBackOff", `Back-off pulling image "registry/ingester:1": ErrImagePull: `+pull)},
		},
		"container cannot be started": {
			{State: waitingFor("RunContainerError", "exec: no such file, task 8f3")},
			{State: waitingFor("CrashLoopBackOff", "back-off 10s"), LastTerminationState: endedWith(128, "StartError", "task 8f3")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			first := ailmentOf(podAt(t, containers(turns[0])))
			if first.what == "" {
				t.Fatal("no ailment")
			}
			for _, turn := range turns[1:] {
				if diff := cmp.Diff(first, ailmentOf(podAt(t, containers(turn))), cmp.AllowUnexported(ailment{})); diff != "" {
					t.Errorf("-first +then\n%s", diff)
				}
			}
		})
	}
}

func TestPullCauseIsToldInWordsOfItsOwn(t *testing.T) {
	for message, want := range map[string]string{
		"failed to authorize: 401 Unauthorized":                  "its registry refuses it (imagePullSecrets?)",
		`pull access denied, repository does not exist`:          "its registry refuses it (imagePullSecrets?)",
		"manifest unknown":                                       "its registry does not have it",
		"dial tcp: lookup registry on 10.0.0.1:53: no such host": "its registry does not answer",
		"dial tcp 10.0.0.7:443: i/o timeout":                     "its registry does not answer",
		"no space left on device":                                "it cannot be pulled",
	} {
		if got := pullCause(&corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: message}); got != want {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
}

func TestTroubleNamesOnePod(t *testing.T) {
	now := time.Now()
	named := func(name string, changes ...func(*corev1.PodStatus)) corev1.Pod {
		pod := podAt(t, changes...)
		pod.Name = name
		return *pod
	}
	unready := func(since time.Duration) func(*corev1.PodStatus) {
		return func(s *corev1.PodStatus) { s.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-since)) }
	}
	crashed := containers(corev1.ContainerStatus{State: endedWith(1, "Error", "")})
	risen := containers(corev1.ContainerStatus{
		State:                corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-time.Hour))}},
		LastTerminationState: endedWith(1, "Error", ""),
	})
	const (
		crashMessage   = `pod "%s" lost container "ingester", which ended with exit code 1; for more: kubectl logs --previous -n logs %[1]s`
		unreadyMessage = `pod "%s" has not been ready for more than 5 minutes; for more: kubectl describe pod -n logs %[1]s`
	)
	for name, test := range map[string]struct {
		pods []corev1.Pod
		want string
	}{
		"none is known":         {[]corev1.Pod{named("a", unready(time.Minute))}, ""},
		"first by name":         {[]corev1.Pod{named("c", crashed), named("b", crashed)}, fmt.Sprintf(crashMessage, "b")},
		"a cause before a lack": {[]corev1.Pod{named("a", unready(time.Hour)), named("b", crashed)}, fmt.Sprintf(crashMessage, "b")},
		"long not ready":        {[]corev1.Pod{named("b", unready(time.Hour)), named("a", unready(time.Minute))}, fmt.Sprintf(unreadyMessage, "b")},
		"crash was long ago":    {[]corev1.Pod{named("a", risen, unready(time.Hour))}, fmt.Sprintf(unreadyMessage, "a")},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if trouble := troubleOf(test.pods, now); trouble.pod != "" {
				got = trouble.String()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestLongTextsOfOthersAreCut(t *testing.T) {
	long := strings.Repeat("word\n", 10_000)
	pod := podAt(t, containers(corev1.ContainerStatus{State: waitingFor("CreateContainerConfigError", long)}))
	if got := len(ailmentOf(pod).what); got > quoteLimit+100 {
		t.Errorf("%d bytes", got)
	}
}

// lose plays that one pod of a Deployment is not ready any more.
func lose(t *testing.T, p *v1alpha1.LogPipeline, deployment string) {
	t.Helper()
	d := read[appsv1.Deployment](t, p.Namespace, deployment)
	d.Status.ReadyReplicas--
	d.Status.AvailableReplicas--
	if err := api.Status().Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func turnInto(t *testing.T, pod *corev1.Pod, status corev1.PodStatus) {
	t.Helper()
	pod.Status = status
	if err := api.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

func TestStatusFollowsThePods(t *testing.T) {
	p := newPipeline(newNamespace(t), newKafka(t).ListenAddrs())
	startPipeline(t, p)
	crash := endedWith(1, "Error", "ingester serve: no")
	turn := func(restarts int32, s corev1.ContainerStatus) corev1.PodStatus {
		status := running("10.0.0.1", corev1.ConditionFalse)
		s.RestartCount = restarts
		containers(s)(&status)
		return status
	}
	lose(t, p, p.Name+"-ingester")
	awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionFalse, v1alpha1.ReasonDeploymentProgressing)
	pod := newPod(t, p, "ingester", "orders-ingester-a", turn(0, corev1.ContainerStatus{State: crash}))

	got := awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionFalse, v1alpha1.ReasonPodsFailing)
	want := fmt.Sprintf(`1 of 2 pods of Deployment "orders-ingester" are up to date and ready; pod "orders-ingester-a" lost container "ingester", `+
		`which ended with exit code 1 and said: ingester serve: no; for more: kubectl logs --previous -n %s orders-ingester-a`, p.Namespace)
	if got.Message != want {
		t.Errorf("message is\n%s\nwant\n%s", got.Message, want)
	}
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPodsFailing)

	written := len(requests.in(p.Namespace))
	for restarts := range int32(5) {
		for _, s := range []corev1.ContainerStatus{
			{State: runningNow, LastTerminationState: crash},
			{State: waitingFor("CrashLoopBackOff", fmt.Sprintf("back-off %ds", restarts)), LastTerminationState: crash},
		} {
			turnInto(t, pod, turn(restarts+1, s))
			awaitCache(t, pod)
			if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if now := requests.in(p.Namespace); len(now) != written {
		t.Errorf("a pod that restarts made the operator write %v", now[written:])
	}

	turnInto(t, pod, running("10.0.0.1", corev1.ConditionTrue))
	awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionFalse, v1alpha1.ReasonDeploymentProgressing)
	awaitRunning(t, p)
}

func TestStatusQuotesAConsumer(t *testing.T) {
	p := newPipeline(newNamespace(t), newKafka(t).ListenAddrs())
	startPipeline(t, p)
	store := reconciler.Autoscaling.store
	says := func(trouble scaling.Trouble) {
		store.Put(scaling.Pipeline{Namespace: p.Namespace, Name: p.Name}, scaling.Sample{Trouble: trouble})
	}
	says(scaling.Trouble{Stopped: scaling.Quote{Pod: "orders-consumer-a", Message: "offsets 0 to 4 were removed:\n record the gap"}})
	lose(t, p, p.Name+"-consumer")
	got := awaitCondition(t, p, v1alpha1.ConditionConsumerAvailable, metav1.ConditionFalse, v1alpha1.ReasonPartitionsStopped)
	want := fmt.Sprintf(`pod "orders-consumer-a" says: offsets 0 to 4 were removed: record the gap; for more: kubectl logs -n %s orders-consumer-a`, p.Namespace)
	if got.Message != want {
		t.Errorf("message is\n%s\nwant\n%s", got.Message, want)
	}

	says(scaling.Trouble{StoreFailure: scaling.Quote{Pod: "orders-consumer-a", Message: "the object store is not available: RequestID: 8F3, HostID: x, 503"}})
	pod := newPod(t, p, "consumer", "orders-consumer-b", running("10.0.0.1", corev1.ConditionFalse))
	crashed := running("10.0.0.1", corev1.ConditionFalse)
	containers(corev1.ContainerStatus{State: endedWith(1, "Error", "")})(&crashed)
	turnInto(t, pod, crashed) // has the pipeline looked at
	got = awaitCondition(t, p, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, v1alpha1.ReasonStoreFailed)
	want = fmt.Sprintf(`pod "orders-consumer-a" says: the object store is not available: 503; for more: kubectl logs -n %s orders-consumer-a`, p.Namespace)
	if got.Message != want {
		t.Errorf("message is\n%s\nwant\n%s", got.Message, want)
	}
	// So is it while all pods are ready.
	await.NoError(t, func() error { return play(t, p) })
	awaitCondition(t, p, v1alpha1.ConditionConsumerAvailable, metav1.ConditionTrue, v1alpha1.ReasonDeploymentAvailable)
	awaitCondition(t, p, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, v1alpha1.ReasonStoreFailed)
	says(scaling.Trouble{})
	awaitRunning(t, p)
	awaitCondition(t, p, v1alpha1.ConditionStorageReady, metav1.ConditionTrue, v1alpha1.ReasonEphemeral)
}
