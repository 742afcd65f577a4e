package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/metricsapi"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/test/await"
)

func newNamespace(t *testing.T) string {
	t.Helper()
	name := "test-" + uuid.NewString()[:8]
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	return name
}

func newKafka(t *testing.T) *kfake.Cluster {
	t.Helper()
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID(uuid.NewString()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	return kafka
}

// newPipeline has every kind of object, and a topic that goes with it.
func newPipeline(namespace string, kafka *kfake.Cluster) *v1alpha1.LogPipeline {
	name := "orders-" + uuid.NewString()[:8]
	return &v1alpha1.LogPipeline{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.LogPipelineSpec{
			Kafka:    v1alpha1.KafkaSpec{BootstrapServers: kafka.ListenAddrs()},
			Topic:    v1alpha1.TopicSpec{Name: name, DeletionPolicy: v1alpha1.TopicDelete},
			Storage:  v1alpha1.StorageSpec{Type: v1alpha1.StorageEphemeral},
			Ingester: v1alpha1.IngesterSpec{Scaling: &v1alpha1.IngesterScalingSpec{Auto: &v1alpha1.IngesterAutoScaling{MaxReplicas: 3}}},
			Consumer: v1alpha1.ConsumerSpec{Scaling: &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{MaxReplicas: 3}}},
		},
	}
}

// awaitObjects waits until a pipeline has an object of each kind that there is.
func awaitObjects(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	for _, name := range []string{p.Name + "-ingester", p.Name + "-consumer"} {
		for _, object := range []client.Object{
			&corev1.ServiceAccount{}, &corev1.ConfigMap{}, &appsv1.Deployment{}, &networkingv1.NetworkPolicy{},
			&policyv1.PodDisruptionBudget{}, &autoscalingv2.HorizontalPodAutoscaler{},
		} {
			await.NoError(t, func() error {
				return api.Get(t.Context(), client.ObjectKey{Namespace: p.Namespace, Name: name}, object)
			})
		}
	}
}

func untouched(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	var deployments appsv1.DeploymentList
	err := errors.Join(api.Get(t.Context(), client.ObjectKeyFromObject(p), p), api.List(t.Context(), &deployments, client.InNamespace(p.Namespace)))
	if err != nil || len(p.Finalizers)+len(p.Status.Conditions)+len(deployments.Items) > 0 {
		t.Errorf("of another namespace: %+v, %v", p, err)
	}
}

// deletePipelines waits until they are gone.
func deletePipelines(t *testing.T, all ...*v1alpha1.LogPipeline) {
	t.Helper()
	for _, p := range all {
		if err := api.Delete(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		awaitGone(t, &v1alpha1.LogPipeline{}, p.Namespace, p.Name)
	}
}

func awaitGone(t *testing.T, object client.Object, namespace, name string) {
	t.Helper()
	await.NoError(t, func() error {
		err := api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(fmt.Errorf("%T %s is still there", object, name), err)
	})
}

// produce writes records that nobody reads.
func produce(t *testing.T, kafka *kfake.Cluster, topic string, records int) {
	t.Helper()
	producer, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for range records {
		if err := producer.ProduceSync(t.Context(), kgo.StringRecord("{}")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// autoscaler asks as the controller of HorizontalPodAutoscalers does.
type autoscaler struct {
	asking *http.Client
	server string
}

// newAutoscaler is a user who may read external metrics, and nothing else.
func newAutoscaler(t *testing.T, i *installation) autoscaler {
	t.Helper()
	name := i.name + "-autoscaler"
	create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1beta1.GroupName}, Resources: []string{"*"}, Verbs: []string{"get", "list"}},
	}})
	create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
	})
	user, err := environment.AddUser(envtest.User{Name: name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	asking, err := rest.HTTPClientFor(user.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(asking.CloseIdleConnections)
	return autoscaler{asking, strings.TrimSuffix(user.Config().Host, "/")}
}

// sees fails unless the lag of a pipeline is told.
func (a autoscaler) sees(p *v1alpha1.LogPipeline, lag string) error {
	url := fmt.Sprintf("%s/apis/%s/namespaces/%s/%s?labelSelector=%s%%3D%s",
		a.server, v1beta1.SchemeGroupVersion, p.Namespace, scaling.LagRecordsMetric, metricsapi.PipelineLabel, p.Name)
	response, err := a.asking.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s, %w", response.Status, body, err)
	}
	var told v1beta1.ExternalMetricValueList
	if err := json.Unmarshal(body, &told); err != nil {
		return err
	}
	if len(told.Items) != 1 || told.Items[0].Value.String() != lag {
		return fmt.Errorf("told %s, want a lag of %s", body, lag)
	}
	return nil
}
