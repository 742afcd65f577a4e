# Building every binary from Go modules. Each group has a go.mod of its own under
# modules/, because in a shared one minimal version selection would move
# Kubernetes' own dependencies.

readonly STAMPS=$BIN/.stamps

# build_cluster control-plane|controllers|all
build_cluster() {
  require_for_build
  mkdir -p "$STAMPS" "$BIN/cni" "$BUILD/images"
  case $1 in
    control-plane) plan 2 && build_control_plane ;;
    controllers) plan 3 && build_control_plane && build_node_kubernetes ;;
    all) plan 8 && build_control_plane && build_node && build_images ;;
    *) fail "build what? control-plane, controllers or all, not \"$1\"" ;;
  esac
}

build_control_plane() {
  step "etcd" build etcd kubernetes "$BIN/etcd" go.etcd.io/etcd/server/v3
  step "kube-apiserver, kubectl" build_kubernetes kube-apiserver kubectl
}

build_node_kubernetes() {
  step "kube-controller-manager, kube-scheduler, kubelet, kube-proxy" \
    build_kubernetes kube-controller-manager kube-scheduler kubelet kube-proxy
}

build_node() {
  build_node_kubernetes
  step "containerd" build_containerd
  step "runc" build_runc
  step "CNI plugins" build_cni
  step "dns" build dns dns "$BIN/dns" .
}

build_kubernetes() {
  local version package name packages=() stamps=""
  version=$(module_version kubernetes k8s.io/kubernetes)
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    stamps+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
    stamps+=" -X $package.gitTreeState=clean -X $package.gitCommit=$version"
  done
  for name in "$@"; do packages+=("k8s.io/kubernetes/cmd/$name"); done
  LINK=$stamps build "kubernetes-$1" kubernetes "$BIN/" "${packages[@]}"
}

build_containerd() {
  local module=github.com/containerd/containerd/v2
  TAGS=no_btrfs,no_devmapper,no_zfs LINK=" -X $module/version.Version=$(module_version containerd $module)" \
    build containerd containerd "$BIN/" $module/cmd/{containerd,containerd-shim-runc-v2,ctr}
}

# runc is the one that needs C: seccomp, linked statically from Debian's library.
build_runc() {
  require_for_runc
  local module=github.com/opencontainers/runc
  CGO_ENABLED=1 TAGS=seccomp,netgo,osusergo,urfave_cli_no_docs \
    LINK=" -X main.version=$(module_version runc $module) -extldflags '-static'" \
    build runc runc "$BIN/runc" $module
}

build_cni() {
  local plugins=github.com/containernetworking/plugins/plugins
  build cni cni "$BIN/cni/" $plugins/main/{ptp,loopback} $plugins/ipam/host-local
}

build_images() {
  step "mkimage, pause image" build_pause_image
}

build_pause_image() {
  build mkimage ../../images "$BIN/mkimage" .
  build pause ../../images "$BIN/pause" ./pause
  "$BIN/mkimage" --name "$PAUSE_IMAGE" --binary "$BIN/pause" --ca-certificates "" --output "$BUILD/images/pause.tar"
}

module_version() { (cd "$HERE/modules/$1" && GOWORK=off go list -m -f '{{.Version}}' "$2"); }

# build GROUP MODULE OUTPUT PACKAGE...: with LINK's linker flags and TAGS, unless
# the stamp says that nothing changed since OUTPUT was built.
build() {
  local group=$1 module=$HERE/modules/$2 output=$3 stamp
  shift 3
  local flags=(-trimpath -buildvcs=false -tags="${TAGS:-}" -ldflags="-s -w${LINK:-}")
  stamp=$(cd "$module" && { go version; cat go.mod go.sum; find . -name '*.go' -exec cat {} +
    echo "${flags[@]}" "$output" "$@"; } | sha256sum)
  if [ "$stamp" = "$(cat "$STAMPS/$group" 2>/dev/null)" ]; then
    printf 'current, '
    return
  fi
  (cd "$module" && GOWORK=off CGO_ENABLED=${CGO_ENABLED:-0} go build -v "${flags[@]}" -o "$output" "$@") 2>&1 |
    tee "$BUILD/build-$group.log" | count_packages || {
    tail -n 20 "$BUILD/build-$group.log" >&2
    fail "$group did not build" "the whole output is in $BUILD/build-$group.log"
  }
  echo "$stamp" >"$STAMPS/$group"
}

# count_packages: a cold build takes minutes; this shows that it is moving.
count_packages() {
  awk '!/^go: / && ++compiled % 200 == 0 { printf "%d packages, ", compiled; fflush() }'
}
