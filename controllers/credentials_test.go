package controllers

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/topics"
	"github.com/logpipeline/logpipeline/test/await"
)

func saslOf(mechanism v1alpha1.SASLMechanism) *v1alpha1.KafkaSASLSpec {
	return &v1alpha1.KafkaSASLSpec{Mechanism: mechanism, CredentialsSecretRef: v1alpha1.SecretReference{Name: "app"}}
}

func newUser(t *testing.T, namespace, name, password string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: namespace},
		Data:       map[string][]byte{"username": []byte(name), "password": []byte(password)},
	}
	create(t, secret)
	return secret
}

// Credentials that are changed in a Secret are taken at the next look, and the
// connections with the old ones are given up.
func TestRotatedCredentialsAreTaken(t *testing.T) {
	namespace := newNamespace(t)
	kafka := newKafka(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "old", "one"), kfake.Superuser("PLAIN", "new", "two"))
	var mu sync.Mutex
	var users []string
	kafka.ControlKey(int16(kmsg.SASLAuthenticate), func(request kmsg.Request) (kmsg.Response, error, bool) {
		kafka.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		_, user, _ := strings.Cut(string(request.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes), "\x00")
		user, _, _ = strings.Cut(user, "\x00")
		users = append(users, user)
		return nil, nil, false
	})
	secret := newUser(t, namespace, "old", "one")
	p := newPipeline(namespace, kafka.ListenAddrs())
	p.Spec.Kafka.Security.SASL = saslOf(v1alpha1.SASLPlain)
	startPipeline(t, p)

	// The operator's own part, with connections that nobody else has.
	operator := *reconciler
	operator.Topics = topics.NewPool()
	defer operator.Topics.Close()
	look := func() {
		t.Helper()
		await.NoError(t, func() error { // its cache may be behind
			_, err := operator.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)})
			return err
		})
		if n := operator.Topics.Clients(); n != 1 {
			t.Fatalf("%d clients, want that of the credentials that hold", n)
		}
	}
	look()
	change(t, secret, func(s *corev1.Secret) { s.Data["username"], s.Data["password"] = []byte("new"), []byte("two") })
	mu.Lock()
	users = nil
	mu.Unlock()
	look()
	mu.Lock()
	defer mu.Unlock()
	if len(users) == 0 || users[len(users)-1] != "new" {
		t.Errorf("connected as %v, want as new", users)
	}
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonRunning)
}

// What the real broker says to whom it doesn't let in.
func TestRefusedConnectionsAreTold(t *testing.T) {
	servers, file := os.Getenv("KAFKA_SECURE_BOOTSTRAP"), os.Getenv("KAFKA_CERTIFICATE")
	if servers == "" || file == "" {
		t.Skip("KAFKA_SECURE_BOOTSTRAP and KAFKA_CERTIFICATE name no broker")
	}
	certificate, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	theirs, _ := selfSigned(t)
	tests := map[string]struct {
		password     string
		ca           []byte
		mend         func(*corev1.Secret)
		reason, says string
	}{
		"wrong password": {
			"wrong", certificate, func(s *corev1.Secret) { s.Data["password"] = []byte("pipeline-secret") },
			v1alpha1.ReasonAuthenticationFailed, "check the name and password that kafka.security and kafka.adminSecurity name",
		},
		"another authority": {
			"pipeline-secret", theirs, func(s *corev1.Secret) { s.Data["ca.crt"] = certificate },
			v1alpha1.ReasonCertificateRejected, "check the certificates that kafka.security and kafka.adminSecurity name",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			namespace := newNamespace(t)
			secret := newUser(t, namespace, "pipeline", test.password)
			change(t, secret, func(s *corev1.Secret) { s.Data["ca.crt"] = test.ca })
			p := newPipeline(namespace, strings.Split(servers, ","))
			p.Spec.Topic = v1alpha1.TopicSpec{Name: "test.credentials." + uuid.NewString(), DeletionPolicy: v1alpha1.TopicDelete}
			p.Spec.Kafka.Security.SASL = saslOf(v1alpha1.SASLPlain)
			p.Spec.Kafka.Security.TLS = &v1alpha1.KafkaTLSSpec{CASecretRef: &v1alpha1.CASecretReference{Name: "app"}}
			create(t, p)
			refused := awaitCondition(t, p, v1alpha1.ConditionKafkaReachable, metav1.ConditionFalse, test.reason)
			if !strings.Contains(refused.Message, test.says) {
				t.Errorf("message %q doesn't say %q", refused.Message, test.says)
			}
			if rests, err := rested(p); rests != "Retrying "+test.reason || err != nil {
				t.Errorf("it rests %s, %v", rests, err)
			}
			change(t, secret, test.mend)
			awaitRunning(t, p)
			remove(t, p)
		})
	}
}

// kfake gives the operator no right but those that a test names.
func TestMissingRightIsTold(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	refuseToCreate(kafka, namespace)
	p := newPipeline(namespace, kafka.ListenAddrs())
	create(t, p)
	refused := awaitCondition(t, p, v1alpha1.ConditionTopicReady, metav1.ConditionFalse, v1alpha1.ReasonNotAuthorized)
	if says := `the operator needs the right Create on topic "` + namespace + `.orders": allow it by an ACL`; !strings.Contains(refused.Message, says) {
		t.Errorf("message %q doesn't say %q", refused.Message, says)
	}
	if rests, err := rested(p); rests != "Retrying "+v1alpha1.ReasonNotAuthorized || err != nil {
		t.Errorf("it rests %s, %v", rests, err)
	}
}

func TestMoreReplicasThanBrokersAreTold(t *testing.T) {
	p := newPipeline(newNamespace(t), newKafka(t).ListenAddrs())
	three := int32(3)
	p.Spec.Topic.ReplicationFactor = &three
	create(t, p)
	awaitCondition(t, p, v1alpha1.ConditionTopicReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidReplicationFactor)
	if rests, err := rested(p); rests != "Retrying "+v1alpha1.ReasonInvalidReplicationFactor || err != nil {
		t.Errorf("it rests %s, %v", rests, err)
	}
}

// A topic that others have configured weakly works, with a warning.
func TestWeakTopicIsTold(t *testing.T) {
	kafka := newKafka(t)
	if err := kafka.CreateTopic("weak", 2, map[string]string{"unclean.leader.election.enable": "true"}); err != nil {
		t.Fatal(err)
	}
	p := newPipeline(newNamespace(t), kafka.ListenAddrs())
	p.Spec.Topic.Name = "weak"
	startPipeline(t, p)
	warned := awaitCondition(t, p, v1alpha1.ConditionTopicReady, metav1.ConditionTrue, v1alpha1.ReasonWeakTopic)
	if says := `topic "weak" has 2 partitions, and can lose records: unclean.leader.election.enable is true`; !strings.HasPrefix(warned.Message, says) {
		t.Errorf("message is %q", warned.Message)
	}
}
