# LogPipeline: `make help` lists what there is.
#
# Everything that is built or runs locally is below $(BUILD). Tools are pinned
# in modules of their own under hack/tools; nothing is fetched but Go modules,
# the broker's jars (pinned in hack/kafka) and Debian packages (hack/cluster).

BUILD   ?= $(CURDIR)/.build
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGES  ?= logpipeline.local

export BUILD

BIN     := $(BUILD)/bin
CLUSTER_TOOL := hack/cluster/cluster
KAFKA_TOOL   := hack/kafka/kafka
CONTROLLER_GEN := go tool -modfile=hack/tools/controller-gen/go.mod controller-gen
GOLANGCI_LINT  := go tool -modfile=hack/tools/golangci-lint/go.mod golangci-lint
HELM           := $(BIN)/helm

# Images are tagged by what is in them, so that a new build is rolled out.
image_tag = $$(cat $(BUILD)/images/tag)

# What the race detector watches: wherever goroutines meet.
RACE_PACKAGES  := ./ingester/... ./cmd/ingester/... ./controllers/topics/... ./controllers/scaling/... ./controllers/metricsapi/...

.DEFAULT_GOAL := help

##@ Start here

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: broker-for-cluster images helm ## Run the whole system on a local cluster, fed with that cluster's own logs.
	@go run ./hack/demo --kubeconfig "$$($(CLUSTER_TOOL) kubeconfig)" --helm $(HELM) --kubectl $(BIN)/kubectl \
	  --brokers "$$(hack/demo/broker address)" --logs "$$($(CLUSTER_TOOL) logs-dir)" \
	  --operator-image $(IMAGES)/operator:$(image_tag) --ingester-image $(IMAGES)/ingester:$(image_tag)

.PHONY: demo-down
demo-down: ## Remove all that the demo made: cluster, broker and their data.
	$(CLUSTER_TOOL) down
	hack/demo/broker stop

.PHONY: test
test: test-servers helm otelcol versitygw ## Unit, API server and broker tests.
	KUBEBUILDER_ASSETS=$(BIN) \
	KAFKA_BOOTSTRAP="$$($(KAFKA_TOOL) address)" KAFKA_SECURE_BOOTSTRAP="$$($(KAFKA_TOOL) secure-address)" KAFKA_CERTIFICATE="$$($(KAFKA_TOOL) certificate)" \
	  go test -race -p 2 -timeout 15m $(RACE_PACKAGES)
	OTELCOL=$(BIN)/otelcol KAFKA_BOOTSTRAP="$$($(KAFKA_TOOL) address)" go test -p 1 -timeout 10m ./bench/... ./test/collector ./test/e2e/timeline
	KAFKA_BOOTSTRAP="$$($(KAFKA_TOOL) address)" go test -timeout 10m ./test/kill
	KUBEBUILDER_ASSETS=$(BIN) HELM=$(HELM) KUBECTL=$(BIN)/kubectl \
	KAFKA_BOOTSTRAP="$$($(KAFKA_TOOL) address)" KAFKA_SECURE_BOOTSTRAP="$$($(KAFKA_TOOL) secure-address)" KAFKA_CERTIFICATE="$$($(KAFKA_TOOL) certificate)" \
	  go test -p 1 -timeout 15m ./api/... ./controllers ./controllers/resources/... ./cmd/operator/... ./hack/prunecrd/...
	go test -count=1 ./test/house # it reads the tree, which no cache of results knows
	go -C hack/images test ./...

# What the end-to-end tests are told of the cluster, and of the broker if it is the real one.
E2E = KUBECONFIG="$$($(CLUSTER_TOOL) kubeconfig)" KAFKA_CLUSTER_BOOTSTRAP="$$(hack/demo/broker address)" \
	KAFKA_BOOTSTRAP="$$($(KAFKA_TOOL) address)" KAFKA_CLUSTER_SECURE_BOOTSTRAP="$$($(KAFKA_TOOL) cluster-secure-address)" KAFKA_CERTIFICATE="$$($(KAFKA_TOOL) certificate)" \
	COMPONENT_LOGS="$$($(CLUSTER_TOOL) logs-dir)" HELM=$(HELM) KUBECTL=$(BIN)/kubectl SCALING_OUTPUT=$(BUILD)/e2e \
	OPERATOR_IMAGE=$(IMAGES)/operator:$(image_tag) INGESTER_IMAGE=$(IMAGES)/ingester:$(image_tag)

.PHONY: e2e
e2e: broker-for-cluster next-images helm ## The demo's path, what people do to running pipelines, and scaling in its short form, as tests on the local cluster.
	$(E2E) go test -tags e2e -count 1 -parallel 8 -timeout 20m -v ./test/e2e

.PHONY: e2e-scaling
e2e-scaling: broker-for-cluster images helm ## Scaling in full on the local cluster, with CSV files and plots in $(BUILD)/e2e.
	$(E2E) SCALING=full go test -tags e2e -count 1 -timeout 40m -v -run TestScaling ./test/e2e

.PHONY: e2e-operations
e2e-operations: broker-for-cluster next-images helm ## What people do to running pipelines, with the kubelet's own pace.
	$(E2E) OPERATIONS=full go test -tags e2e -count 1 -parallel 8 -timeout 20m -v -run TestOperations ./test/e2e

.PHONY: test-full
test-full: test e2e e2e-scaling e2e-operations ## All of that, 1,000 mutations, 200 kills, 100,000 segments, five minutes without Kafka, every fuzz target for 20 s, and the local cluster's own test.
	MUTATIONS=1000 KUBEBUILDER_ASSETS=$(BIN) go test -count 1 -timeout 60m -v -run TestMutations ./controllers
	KILLS=200 KAFKA_BOOTSTRAP="$$($(KAFKA_TOOL) address)" go test -count 1 -timeout 40m -v ./test/kill
	$(MAKE) bench-backlog
	$(MAKE) bench-outage FLAGS="--away 5m"
	hack/fuzz 20s
	hack/cluster/smoke

##@ Measure

.PHONY: bench-peers
bench-peers: otelcol ## Build what the intake is measured against.
	CGO_ENABLED=0 go -C bench/peers/bento build -trimpath -o $(BIN)/bento .

.PHONY: otelcol
otelcol:
	CGO_ENABLED=0 go -C bench/peers/otelcol build -trimpath -ldflags "-s -w" -o $(BIN)/otelcol .

.PHONY: bench-programs
bench-programs: build
	go build -trimpath -o $(BIN)/ ./bench/intake ./bench/outage ./bench/discard ./bench/baseline ./bench/profiled \
	  ./bench/storage ./bench/consumers ./bench/backlog

.PHONY: bench-intake
bench-intake: bench-programs bench-peers ## Measure the intake beside its peers (FLAGS=--quick for a look of a minute).
	$(KAFKA_TOOL) start
	KAFKA_BOOTSTRAP="$$($(KAFKA_TOOL) address)" $(BIN)/intake --bin $(BIN) --json $(BUILD)/bench/intake.json $(FLAGS)

.PHONY: bench-outage
bench-outage: bench-programs ## Measure an ingester's memory while Kafka is away (FLAGS="--away 5m").
	$(BIN)/outage --bin $(BIN) $(FLAGS)
	$(BIN)/outage --bin $(BIN) --acknowledge Queued $(FLAGS)

.PHONY: bench-storage
bench-storage: bench-programs bench-peers ## Measure Kafka to NDJSON beside its peers (FLAGS=--quick for half a minute's look).
	bench/peers/rsyslog/rsyslog build
	$(KAFKA_TOOL) start
	KAFKA_BOOTSTRAP="$$($(KAFKA_TOOL) address)" $(BIN)/storage --bin $(BIN) --json $(BUILD)/bench/storage.json $(FLAGS)

.PHONY: bench-backlog
bench-backlog: bench-programs ## Check the restart with 100,000 segments, and the memory under a backlog (FLAGS=--quick).
	$(KAFKA_TOOL) start
	KAFKA_BOOTSTRAP="$$($(KAFKA_TOOL) address)" $(BIN)/backlog --bin $(BIN) $(FLAGS)

.PHONY: bench-operator
bench-operator: build ## Measure the operator with 10, 100 and 1,000 LogPipelines (FLAGS=--quick for a look of two minutes).
	$(CLUSTER_TOOL) build controllers
	$(KAFKA_TOOL) start
	go build -trimpath -o $(BIN)/bench-operator ./bench/operator
	$(BIN)/bench-operator --bin $(BIN) --kafka "$$($(KAFKA_TOOL) address)" --json $(BUILD)/bench/operator.json $(FLAGS)

##@ Build

.PHONY: build
build: ## Build the two static binaries into $(BUILD)/bin.
	CGO_ENABLED=0 go build -trimpath -tags disable_grpc_modules -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/ ./cmd/operator ./cmd/ingester

.PHONY: images
images: build ## Make both images as tar files, without a container engine, and load them into a running local cluster.
	@mkdir -p $(BUILD)/images
	go -C hack/images build -o $(BIN)/mkimage .
	cat $(BIN)/operator $(BIN)/ingester | sha256sum | sed "s/^/build-/" | cut -c 1-18 > $(BUILD)/images/tag
	for name in operator ingester; do \
	  $(BIN)/mkimage --name $(IMAGES)/$$name:$(image_tag) --binary $(BIN)/$$name --output $(BUILD)/images/$$name.tar || exit 1; \
	done
	if $(CLUSTER_TOOL) status >/dev/null 2>&1; then $(CLUSTER_TOOL) load-image $(BUILD)/images/operator.tar $(BUILD)/images/ingester.tar; fi

.PHONY: next-images
next-images: images # the same programs under other names, for the test of an upgrade
	for name in operator ingester; do \
	  $(BIN)/mkimage --name $(IMAGES)/$$name:$(image_tag)-next --binary $(BIN)/$$name --output $(BUILD)/images/$$name-next.tar || exit 1; \
	done
	$(CLUSTER_TOOL) load-image $(BUILD)/images/operator-next.tar $(BUILD)/images/ingester-next.tar

.PHONY: docker-images
docker-images: ## Build both images from the Dockerfile, where Docker is found.
	docker build --target operator --build-arg VERSION=$(VERSION) -t $(IMAGES)/operator:$(VERSION) .
	docker build --target ingester --build-arg VERSION=$(VERSION) -t $(IMAGES)/ingester:$(VERSION) .

.PHONY: helm
helm: ## Build the pinned helm.
	go build -modfile=hack/tools/helm/go.mod -trimpath -o $(HELM) helm.sh/helm/v4/cmd/helm

##@ Keep in order

.PHONY: generate
generate: ## Regenerate deepcopy, apply configurations, CRD, its documentation and RBAC, and the chart's copies of them.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt applyconfiguration:headerFile=hack/boilerplate.go.txt paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	go run ./hack/prunecrd config/crd/bases/*.yaml
	go run ./hack/apidoc
	$(CONTROLLER_GEN) rbac:roleName=logpipeline-operator paths=./controllers/... output:rbac:artifacts:config=config/rbac
	cp config/crd/bases/*.yaml charts/logpipeline/files/crds/
	cp config/rbac/role.yaml config/rbac/leader_election_role.yaml config/rbac/logpipeline_editor_role.yaml config/rbac/logpipeline_viewer_role.yaml config/rbac/metrics_reader_role.yaml charts/logpipeline/files/

.PHONY: fmt
fmt: ## Format the code.
	gofmt -w api bench cmd controllers hack ingester test

.PHONY: lint
lint: ## Vet and lint.
	go vet -tags e2e ./...
	$(GOLANGCI_LINT) run --allow-parallel-runners --build-tags e2e ./...

.PHONY: verify
verify: helm kubectl ## Check that generated files are current and that the code is formatted, vetted and linted.
	hack/verify

##@ Servers for tests and the demo

.PHONY: kubectl
kubectl: ## Build the API server, etcd and kubectl for tests.
	$(CLUSTER_TOOL) build control-plane

.PHONY: versitygw
versitygw: # an S3 server
	go build -modfile=hack/tools/versitygw/go.mod -trimpath -o $(BIN)/versitygw github.com/versity/versitygw/cmd/versitygw

.PHONY: test-servers
test-servers: kubectl ## Build the API server and start the broker for tests.
	$(KAFKA_TOOL) start

.PHONY: cluster-up
cluster-up: ## Build and start the local Kubernetes cluster (CLUSTER=kind uses kind instead).
	$(CLUSTER_TOOL) build all
	$(CLUSTER_TOOL) up

.PHONY: broker-for-cluster
broker-for-cluster: cluster-up
	hack/demo/broker start

.PHONY: clean
clean: demo-down ## Stop the servers and remove everything that was built.
	rm -rf $(BUILD)
