package controllers

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/test/await"
)

// surroundings are what a pipeline lives on: a namespace with all that a spec
// may name, and a Kafka.
type surroundings struct {
	namespace string
	port      string
	kafka     *kfake.Cluster
	options   []kfake.Opt
	// kafkaWrites counts the requests that change something of its topics.
	kafkaWrites *atomic.Int64
	claim       *corev1.PersistentVolumeClaim
}

// surround makes new surroundings. The Kafka has its port and its topics again
// when it comes back.
func surround(t *testing.T) surroundings {
	t.Helper()
	port := freePort(t)
	s := surroundings{namespace: newNamespace(t), port: strconv.Itoa(port), kafkaWrites: &atomic.Int64{}, options: []kfake.Opt{
		kfake.Ports(port), kfake.DataDir(t.TempDir()), kfake.ClusterID(uuid.NewString()), kfake.ListenFn(listenInPlainText),
	}}
	s.startKafka(t)
	if err := s.kafka.CreateTopic("theirs", 3, nil); err != nil {
		t.Fatal(err)
	}
	create(t, s.credentials(t, "credentials"))
	create(t, s.credentials(t, "others"))
	s.claim = s.newClaim(t, many)
	return s
}

func (s *surroundings) startKafka(t *testing.T) {
	t.Helper()
	kafka := newKafka(t, s.options...)
	for _, key := range []kmsg.Key{kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.CreatePartitions, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs} {
		kafka.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			s.kafkaWrites.Add(1)
			return nil, nil, false
		})
	}
	s.kafka = kafka
}

// like makes surroundings that are as these are now.
func (s surroundings) like(t *testing.T, p *v1alpha1.LogPipeline) surroundings {
	t.Helper()
	other := surround(t)
	other.setModes(t, s.claim.Status.AccessModes...)
	for name, topic := range s.topicsOf(p) {
		if name == "theirs" {
			continue
		}
		name = strings.Replace(name, s.namespace, other.namespace, 1)
		if err := other.kafka.CreateTopic(name, int32(topic.Partitions), topic.Config); err != nil {
			t.Fatal(err)
		}
	}
	return other
}

// listenInPlainText ends connections that begin with TLS, as brokers do: they
// take it for the size of a request.
func listenInPlainText(network, address string) (net.Listener, error) {
	listener, err := net.Listen(network, address)
	return plainTextListener{listener}, err
}

type plainTextListener struct{ net.Listener }

func (l plainTextListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	return &plainTextConn{Conn: connection}, err
}

type plainTextConn struct {
	net.Conn
	begun bool
}

func (c *plainTextConn) Read(b []byte) (int, error) {
	const handshake = 22
	n, err := c.Conn.Read(b)
	if !c.begun && n > 0 && b[0] == handshake {
		return 0, io.EOF
	}
	c.begun = true
	return n, err
}

// credentials have every key that a spec may ask for.
func (s surroundings) credentials(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	certificate, key := selfSigned(t)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace},
		Data: map[string][]byte{
			"ca.crt": certificate, "tls.crt": certificate, "tls.key": key, "username": []byte("u"), "password": []byte("p"),
			"credentials": []byte("c"), "credentials.json": []byte("{}"), "AZURE_STORAGE_ACCOUNT": []byte("a"),
		},
	}
}

func (s surroundings) newClaim(t *testing.T, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	t.Helper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "claim", Namespace: s.namespace},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{mode},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		},
	}
	create(t, claim)
	claim.Status.Phase, claim.Status.AccessModes = corev1.ClaimBound, claim.Spec.AccessModes
	if err := api.Status().Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	return claim
}

// setModes has the claim's volume be mounted otherwise.
func (s surroundings) setModes(t *testing.T, modes ...corev1.PersistentVolumeAccessMode) {
	t.Helper()
	s.claim.Status.AccessModes = modes
	if err := api.Status().Update(t.Context(), s.claim); err != nil {
		t.Fatal(err)
	}
}

// render is a spec for these surroundings.
func (s surroundings) render(t *testing.T, spec map[string]any) map[string]any {
	t.Helper()
	document, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(broker, "127.0.0.1:"+s.port, brokerByName, "localhost:"+s.port).Replace(string(document))
	rendered := &unstructured.Unstructured{}
	if err := rendered.UnmarshalJSON(fmt.Appendf(nil, `{"kind":"LogPipeline","spec":%s}`, text)); err != nil {
		t.Fatal(err)
	}
	return rendered.Object["spec"].(map[string]any)
}

// begin creates a pipeline.
func (s surroundings) begin(t *testing.T, spec map[string]any) *v1alpha1.LogPipeline {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": s.render(t, spec)}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("LogPipeline"))
	object.SetNamespace(s.namespace)
	object.SetName("orders")
	if err := api.Create(t.Context(), object, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
		t.Fatalf("create with spec %v: %v", spec, err)
	}
	return read[v1alpha1.LogPipeline](t, s.namespace, "orders")
}

// settled accepts every rest but those that end by themselves.
func settled(rests string) bool {
	return rests != "Retrying "+v1alpha1.ReasonAPIError && rests != "Retrying "+v1alpha1.ReasonForeignObject
}

// come plays the other controllers until the pipeline rests, reads it and
// returns where.
func (s surroundings) come(t *testing.T, p *v1alpha1.LogPipeline, accepted func(string) bool) (rests string) {
	t.Helper()
	await.NoError(t, func() error {
		if err := playAll(t, p); err != nil {
			return err
		}
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		var contradiction error
		if rests, contradiction = rested(p); contradiction != nil {
			t.Fatalf("the status contradicts itself: %v", contradiction)
		}
		if rests == "" || !accepted(rests) {
			return fmt.Errorf("it rests %q: %+v, spec %+v", rests, p.Status.Conditions, p.Spec)
		}
		return nil
	})
	return rests
}

// look has the operator look at the pipeline at once, and not within a minute.
func (s surroundings) look(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	awaitChildrenCached(t, p)
	_, _ = reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}) // status tells
}

// awaitChildrenCached waits until the operator has seen the pipeline and its
// objects as they are.
func awaitChildrenCached(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	await.NoError(t, func() error {
		for name, child := range childrenOf(t, p) {
			cached := child.DeepCopy()
			typed, err := reconciler.Client.Scheme().New(child.GroupVersionKind())
			if err != nil {
				return err
			}
			object := typed.(client.Object)
			if err := reconciler.Client.Get(t.Context(), client.ObjectKeyFromObject(cached), object); err != nil {
				return err
			}
			if object.GetResourceVersion() != child.GetResourceVersion() {
				return fmt.Errorf("%s is not cached as it is", name)
			}
		}
		live, cached := &v1alpha1.LogPipeline{}, &v1alpha1.LogPipeline{}
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), live); err != nil {
			return err
		}
		if err := reconciler.Client.Get(t.Context(), client.ObjectKeyFromObject(p), cached); err != nil {
			return err
		}
		if live.ResourceVersion != cached.ResourceVersion {
			return fmt.Errorf("the pipeline is not cached as it is")
		}
		return nil
	})
}

// awaitQuiet waits until the operator, looking again, finds nothing to write.
func (s surroundings) awaitQuiet(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	await.NoError(t, func() error {
		before := len(requests.in(p.Namespace))
		s.look(t, p)
		if writes := requests.in(p.Namespace); len(writes) > before {
			return fmt.Errorf("still written: %v", writes[before:])
		}
		return nil
	})
}

// end deletes the pipeline, with what the garbage collector would, and the
// Kafka.
func (s surroundings) end(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	defer s.kafka.Close()
	asks := p.Spec.Topic.DeletionPolicy == v1alpha1.TopicDelete && p.Status.Topic != nil && p.Status.Topic.Created &&
		!p.Spec.Consumer.DrainOnDelete // nobody sees that all is stored
	answers := meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionKafkaReachable)
	if err := api.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if asks && !answers {
		return // it takes two minutes to give up
	}
	awaitGone(t, p.DeepCopy())
	if topic := s.kafka.TopicInfo(resources.TopicName(p)); asks && topic != nil && uuid.UUID(topic.TopicID).String() == p.Status.Topic.ID {
		t.Errorf("topic %q is still there", topic.Topic)
	}
	for _, child := range childrenOf(t, p) {
		if err := api.Delete(t.Context(), child); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
}

// statusOf is what the status says, as far as it follows from the spec.
func statusOf(t *testing.T, p *v1alpha1.LogPipeline, port string) any {
	t.Helper()
	ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
	running := ready != nil && ready.Reason == v1alpha1.ReasonRunning // one that was suspended from the beginning has no topic
	said := map[string]any{"endpoint": p.Status.Endpoint, "finalizers": p.Finalizers}
	for _, c := range p.Status.Conditions {
		switch c.Type {
		case v1alpha1.ConditionIngesterAvailable, v1alpha1.ConditionConsumerAvailable, v1alpha1.ConditionAutoscalingActive:
			if running {
				said[c.Type] = string(c.Status) + " " + c.Reason
			}
		default:
			said[c.Type] = string(c.Status) + " " + c.Reason
			if refused := meta.IsStatusConditionFalse(p.Status.Conditions, v1alpha1.ConditionKafkaReachable); !refused {
				said[c.Type] = string(c.Status) + " " + c.Reason + ": " + c.Message // refused: by whichever address was tried
			}
		}
	}
	if !running {
		delete(said, "endpoint")
	}
	if topic := p.Status.Topic; topic != nil && said["endpoint"] != nil {
		said["group"] = p.Status.Consumer.Group
		said["topic"] = fmt.Sprintf("%s, %d partitions", topic.Name, topic.Partitions)
	}
	return anonymous(t, said, p.Namespace, port)
}
