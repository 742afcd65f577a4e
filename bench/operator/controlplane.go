package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/bench/process"
	"github.com/logpipeline/logpipeline/controllers/metricsapi/aggregationtest"
)

// controlPlane is etcd, an API server and, while it is started, a controller
// manager. There is no scheduler and no kubelet.
type controlPlane struct {
	environment *envtest.Environment
	config      *rest.Config
	client      client.Client
	audit       audit
	folder      string
	binaries    string
	manager     *process.Process // nil while it is stopped
}

func startControlPlane(o options, folder string) (*controlPlane, error) {
	p := &controlPlane{
		environment: &envtest.Environment{
			BinaryAssetsDirectory: o.binaries,
			CRDDirectoryPaths:     []string{filepath.Join(o.config, "crd/bases")},
			ErrorIfCRDPathMissing: true,
		},
		folder: folder, binaries: o.binaries, audit: audit{filepath.Join(folder, "audit.log")},
	}
	p.environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.0.0.0/16") // a Service for each pipeline
	if err := errors.Join(aggregationtest.FrontProxy(p.environment, folder), p.audit.configure(p.environment, folder)); err != nil {
		return nil, err
	}
	config, err := p.environment.Start()
	if err != nil {
		return nil, fmt.Errorf("start API server: %w", err)
	}
	p.config = rest.CopyConfig(config)
	p.config.QPS = -1 // the bench's own requests wait for nothing
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	p.client, err = client.New(p.config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, errors.Join(err, p.environment.Stop())
	}
	return p, nil
}

func (p *controlPlane) stop() error {
	return errors.Join(p.stopControllerManager(), p.environment.Stop())
}

// kubeconfig writes that of a new user and returns its path.
func (p *controlPlane) kubeconfig(user envtest.User) (string, error) {
	added, err := p.environment.AddUser(user, nil)
	if err != nil {
		return "", err
	}
	content, err := added.KubeConfig()
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp(p.folder, "*.kubeconfig")
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	return file.Name(), errors.Join(err, file.Close())
}

// startControllerManager starts the controllers that a pipeline's objects
// need. Each has an identity of its own, so that the metrics API has to ask
// whether the autoscalers' may read.
func (p *controlPlane) startControllerManager() error {
	kubeconfig, err := p.kubeconfig(envtest.User{Name: "system:kube-controller-manager"})
	if err != nil {
		return err
	}
	p.manager, err = process.Start(filepath.Join(p.folder, "kube-controller-manager.log"), filepath.Join(p.binaries, "kube-controller-manager"),
		"--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port=0", "--use-service-account-credentials",
		"--controllers=deployment-controller,replicaset-controller,horizontal-pod-autoscaler-controller",
		"--kube-api-qps=500", "--kube-api-burst=1000")
	return err
}

func (p *controlPlane) stopControllerManager() error {
	if p.manager == nil {
		return nil
	}
	manager := p.manager
	p.manager = nil
	return manager.Stop(10 * time.Second)
}

// silence has the controllers ask nothing until hear; they go on from there.
func (p *controlPlane) silence() error { return p.manager.Signal(syscall.SIGSTOP) }
func (p *controlPlane) hear() error    { return p.manager.Signal(syscall.SIGCONT) }

// running is an error once the controller manager has ended by itself.
func (p *controlPlane) running() error {
	if p.manager != nil && p.manager.Exited() {
		return fmt.Errorf("kube-controller-manager has ended; see %s", p.folder)
	}
	return nil
}

// create makes objects that aren't there yet.
func (p *controlPlane) create(ctx context.Context, objects ...client.Object) error {
	for _, object := range objects {
		if err := p.client.Create(ctx, object); err != nil {
			return fmt.Errorf("create %T %q: %w", object, object.GetName(), err)
		}
	}
	return nil
}
