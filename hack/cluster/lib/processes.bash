# Starting processes so that they can be found again. All of them, and with them
# every container, live in one cgroup: what is in it is ours whatever its pid, and
# what isn't in it is never touched, even when a recorded pid was given to
# somebody else since.

readonly CGROUP=logpipeline

cgroup_v2() { [ -f /sys/fs/cgroup/cgroup.controllers ]; }

# The hierarchy whose membership says what is ours. With v1 it is that of pids,
# so that the accounting of memory and CPU stays as the user has it.
tracking_hierarchy() { if cgroup_v2; then echo /sys/fs/cgroup; else echo /sys/fs/cgroup/pids; fi; }

# Every hierarchy in which the kubelet wants its root group to exist.
hierarchies() {
  if cgroup_v2; then
    echo /sys/fs/cgroup
  else
    find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d
  fi
}

make_cgroups() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    mkdir -p "$hierarchy/$CGROUP"
  done
  # Apart from the pods' group, because v2 allows no processes in inner groups.
  mkdir -p "$(tracking_hierarchy)/$CGROUP/components"
}

# start NAME COMMAND...: runs a component in the node's network namespace (by
# nsenter: `ip netns exec` would hide the cgroup mounts), with its own log and a
# recorded pid. The lock, file descriptor 9, is not passed on.
#
# The child joins the cgroup before it can fork anything; the parent puts it there
# too, so that it is ours by the time its pid is recorded.
start() {
  local name=$1 members
  shift
  members=$(tracking_hierarchy)/$CGROUP/components/cgroup.procs
  (
    echo "$BASHPID" >"$members"
    exec setsid nsenter --net="/run/netns/$NETWORK_NAMESPACE" "$@"
  ) >"$LOGS/$name.log" 2>&1 </dev/null 9<&- &
  echo $! 2>/dev/null >"$members" || true # it may have ended already
  echo $! >"$RECORD/pids/$name"
  disown
}

# pid_of NAME: the recorded pid, if that process lives and is still ours.
pid_of() {
  local pid
  pid=$(cat "$RECORD/pids/$1" 2>/dev/null) && is_ours "$pid" && echo "$pid"
}

is_ours() { grep -qs ":/$CGROUP\(/\|\$\)" "/proc/$1/cgroup" && ! grep -qs '^State:.*Z' "/proc/$1/status"; }

# dead_components: the names of those that were started and have ended.
dead_components() {
  local name dead=()
  for name in "${COMPONENTS[@]}"; do
    [ ! -e "$RECORD/pids/$name" ] || pid_of "$name" >/dev/null || dead+=("$name")
  done
  echo "${dead[*]}"
}

# our_pids: every process in the cgroup, containers' and shims' among them.
our_pids() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    [ ! -d "$hierarchy/$CGROUP" ] || find "$hierarchy/$CGROUP" -name cgroup.procs -exec cat {} + 2>/dev/null
  done | sort -un
}

# kill_all: nothing in a cluster that is thrown away whole needs a graceful end.
# Repeated because a process may fork while the list is read.
kill_all() {
  local deadline=$((SECONDS + 15)) pids
  while pids=$(our_pids) && [ -n "$pids" ]; do
    kill -KILL $pids 2>/dev/null || true
    [ "$SECONDS" -lt "$deadline" ] || fail "cannot end the processes $(xargs <<<"$pids")"
    sleep 0.05
  done
}

# remove_cgroups: the kernel frees an emptied group a moment after its last
# process was reaped, hence the patience.
remove_cgroups() {
  local hierarchy deadline=$((SECONDS + 10))
  for hierarchy in $(hierarchies); do
    while [ -d "$hierarchy/$CGROUP" ]; do
      find "$hierarchy/$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
      [ "$SECONDS" -lt "$deadline" ] || return 0 # leftovers tells
    done
  done
}
