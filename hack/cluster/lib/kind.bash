# CLUSTER=kind: the same verbs on kind and Docker, where the user has them.

readonly KIND_STATE=$BUILD/cluster-kind
readonly KIND_KUBECONFIG=$KIND_STATE/kubeconfig

kind_verb() {
  local verb=$1 file
  shift
  has kind || fail "CLUSTER=kind needs kind on PATH: go install sigs.k8s.io/kind@v0.33.0"
  has docker || fail "CLUSTER=kind needs docker on PATH"
  case $verb in
    build) echo "kind brings its own binaries: nothing to build" ;;
    up) kind_up ;;
    down) kind delete cluster --name logpipeline && rm -rf "$KIND_STATE" ;;
    status) kind_exists && docker ps --filter label=io.x-k8s.kind.cluster=logpipeline ;;
    kubeconfig) echo "$KIND_KUBECONFIG" ;;
    load-image) for file in "$@"; do kind load image-archive "$file" --name logpipeline; done ;;
    logs-dir) kind export logs "$KIND_STATE/logs" --name logpipeline >/dev/null 2>&1 && echo "$KIND_STATE/logs" ;;
    *) fail "CLUSTER=kind has no verb \"$verb\"" ;;
  esac
}

kind_up() {
  mkdir -p "$KIND_STATE"
  if kind_exists; then
    kind export kubeconfig --name logpipeline --kubeconfig "$KIND_KUBECONFIG"
    echo "cluster is up already (KUBECONFIG=$KIND_KUBECONFIG)"
  else
    kind create cluster --name logpipeline --kubeconfig "$KIND_KUBECONFIG" --wait 180s
  fi
}

kind_exists() { kind get clusters 2>/dev/null | grep -qx logpipeline; }
