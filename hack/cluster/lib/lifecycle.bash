# Up, down and what lies between: whose cluster is running on this machine, in
# which condition, and what it would leave behind.

# Everything that a cluster keeps in its folder, but its logs.
readonly STATE_FOLDERS=(pki config etcd containerd containerd-run kubelet cni container-logs pod-logs volumes kubeconfig)

cluster_up() {
  require_for_node
  lock
  refuse_living_foreigner
  case $(condition) in
    running)
      if api_server_answers; then
        recycle_volumes
        echo "cluster is up already (KUBECONFIG=$ADMIN_KUBECONFIG)"
        return
      fi
      echo "the API server doesn't answer: starting anew" && tear_down ;;
    broken) echo "found the remains of a cluster (dead: $(dead_components)): starting anew" && tear_down ;;
  esac
  binaries_present || build_cluster all
  plan 7
  step "certificates, configuration" prepare
  step "network" make_network
  step "etcd, API server, containerd" bring_up_foundation
  step "controller manager, scheduler" start_controllers
  step "node" bring_up_node
  step "kube-proxy, DNS" bring_up_services
  step "volumes" bring_up_storage
  echo "cluster is up after $(seconds_since "$PLAN_STARTED") s (KUBECONFIG=$ADMIN_KUBECONFIG)"
}

binaries_present() {
  local name
  for name in "${COMPONENTS[@]}" kubectl ctr runc containerd-shim-runc-v2; do
    [ -x "$BIN/$name" ] || return 1
  done
  [ -e "$BUILD/images/pause.tar" ]
}

prepare() {
  mkdir -p "$RECORD/pids" "$LOGS"
  printf '%s\n' "$STATE" "$HERE/cluster" >"$RECORD/owner"
  rm -f "$LOGS"/*.log
  save_sysctls
  make_cgroups
  make_node_folders
  mkdir -p -m 700 "$STATE/etcd"
  make_pki
  write_node_configuration
}

# make_folder FOLDER: a mount point that the host lacks is made, and recorded so
# that it gets removed.
make_folder() {
  [ -d "$1" ] || { mkdir -p "$1" && echo "$1" >>"$RECORD/made-folders"; }
}

remove_made_folders() {
  local folder
  [ -e "$RECORD/made-folders" ] || return 0
  while read -r folder; do
    rmdir "$folder" 2>/dev/null || true # leftovers tells
  done <"$RECORD/made-folders"
}

bring_up_foundation() {
  start_etcd
  start_api_server
  start_containerd
  await_containerd
  load_pause_image
  await_api_server
}

bring_up_node() {
  start_kubelet
  await_node
}

bring_up_services() {
  start_kube_proxy
  start_dns
  await_services
}

bring_up_storage() {
  make_storage
  wait_for 30 "the default service account" kubectl get serviceaccount default --namespace default
}

cluster_down() {
  require_for_node
  lock
  refuse_living_foreigner
  local found started=${EPOCHREALTIME/./}
  found=$(condition)
  tear_down
  if [ "$found" = down ]; then
    echo "no cluster is up"
  else
    echo "cluster is down after $(seconds_since "$started") s; its logs stay in $LOGS"
  fi
}

# tear_down: safe at any time, whatever is left of the cluster. The host's view
# has no mounts of it, so that removing its folders can't reach into a volume.
tear_down() {
  local state left
  state=$(owner_state)
  kill_all
  remove_network
  restore_sysctls
  remove_cgroups
  remove_made_folders
  [ ! -d "$state" ] || (cd "$state" && rm -rf --one-file-system -- "${STATE_FOLDERS[@]}")
  left=$(leftovers)
  [ -z "$left" ] || fail "this is left behind:" "$left"
  rm -rf "$RECORD"
}

# leftovers: what of a cluster is on the machine, one line each; nothing when it
# is clean.
leftovers() {
  local pid folder hierarchy
  for pid in $(our_pids); do echo "process $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-80)"; done
  awk -v state="$STATE/" -v record="$RECORD/" -v netns="/run/netns/$NETWORK_NAMESPACE" \
    'index($2, state) == 1 || index($2, record) == 1 || $2 == netns { print "mount " $2 }' /proc/self/mounts
  [ ! -e "/run/netns/$NETWORK_NAMESPACE" ] || echo "network namespace $NETWORK_NAMESPACE"
  ! ip link show "$HOST_LINK" >/dev/null 2>&1 || echo "network link $HOST_LINK"
  for hierarchy in $(hierarchies); do
    [ ! -d "$hierarchy/$CGROUP" ] || echo "cgroup $hierarchy/$CGROUP"
  done
  [ ! -e "$RECORD/made-folders" ] || while read -r folder; do
    [ ! -d "$folder" ] || echo "folder $folder"
  done <"$RECORD/made-folders"
}

report_leftovers() {
  local left
  left=$(leftovers)
  [ -z "$left" ] || { echo "$left" && return 1; }
}

# condition: down, running (every component lives) or broken (anything between,
# such as after a kill, a reboot or with the checkout gone).
condition() {
  local name
  if [ ! -d "$RECORD" ] && [ -z "$(leftovers)" ]; then
    echo down
    return
  fi
  for name in "${COMPONENTS[@]}"; do
    pid_of "$name" >/dev/null || { echo broken && return; }
  done
  if [ -d "$(owner_state)" ] && [ -x "$(owner_script)" ]; then echo running; else echo broken; fi
}

owner_state() { sed -n 1p "$RECORD/owner" 2>/dev/null || true; }
owner_script() { sed -n 2p "$RECORD/owner" 2>/dev/null || true; }

refuse_living_foreigner() {
  [ "$(owner_state)" != "$STATE" ] && [ "$(condition)" = running ] || return 0
  fail "another checkout's cluster is running on this machine, in $(owner_state)" \
    "stop it with: BUILD=$(dirname "$(owner_state)") $(owner_script) down"
}

api_server_answers() { kubectl get --raw /readyz --request-timeout=5s >/dev/null 2>&1; }

# lock: one `up` or `down` at a time on this machine. A folder that is always
# there is locked, so that no lock file is left.
lock() {
  exec 9</run
  flock --nonblock 9 || {
    echo "waiting for another \"cluster up\" or \"cluster down\" on this machine"
    flock --timeout 300 9 || fail "another \"cluster up\" or \"cluster down\" still runs after 300 s"
  }
}

cluster_status() {
  local name condition
  condition=$(condition)
  echo "cluster: $condition"
  [ "$condition" != down ] || return 1
  echo "state:   $(owner_state)"
  for name in "${COMPONENTS[@]}"; do
    printf '%-24s %s\n' "$name" "$(pid_of "$name" || echo dead)"
  done
  [ "$condition" = running ] && [ "$(owner_state)" = "$STATE" ] || return 1
  kubectl get nodes -o wide
}

require_running() {
  [ "$(owner_state)" = "$STATE" ] && [ "$(condition)" = running ] ||
    fail "no cluster of this checkout is up: start it with $HERE/cluster up"
}
