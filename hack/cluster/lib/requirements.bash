# What the machine must have. Missing Debian packages are installed where that is
# allowed; everything that is still missing is named at once.

# require COMMAND=PACKAGE...: every command, or its Debian package gets installed.
require() {
  local missing packages
  missing=$(missing_commands "$@")
  [ -n "$missing" ] || return 0
  packages=$(for pair in $missing; do echo "${pair#*=}"; done | sort -u | xargs)
  install_packages $packages
  missing=$(missing_commands "$@")
  [ -z "$missing" ] || fail "still not found after installing $packages: $(for pair in $missing; do echo "${pair%%=*}"; done | xargs)"
}

missing_commands() {
  local pair
  for pair in "$@"; do
    has "${pair%%=*}" || echo "$pair"
  done
}

# has WHAT: a command on PATH, or lib:NAME for what pkg-config must know.
has() {
  case $1 in
    lib:*) pkg-config --exists "${1#lib:}" 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

install_packages() {
  local advice="install by hand: $*"
  [ "$(id -u)" = 0 ] || fail "packages are lacking and only root may install them" "$advice"
  has apt-get || fail "packages are lacking and there is no apt-get here" "$advice (Debian's names)"
  echo "installing Debian packages: $*"
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"; } \
    >"$BUILD/apt.log" 2>&1 || { tail -n 5 "$BUILD/apt.log" >&2; fail "apt-get could not install them" "$advice"; }
}

require_for_build() {
  has go || fail "go is lacking: install Go 1.26 or later"
  mkdir -p "$BUILD"
}

require_for_runc() {
  require gcc=gcc pkg-config=pkg-config lib:libseccomp=libseccomp-dev
  [ -e /usr/include/stdio.h ] || install_packages libc6-dev
}

require_for_node() {
  [ "$(uname -s)" = Linux ] || fail "a node needs Linux: use CLUSTER=kind with Docker here"
  [ "$(id -u)" = 0 ] || fail "a node needs root (namespaces, mounts, cgroups): run this as root, or use CLUSTER=kind with Docker"
  mkdir -p "$BUILD"
  require ip=iproute2 nft=nftables openssl=openssl nsenter=util-linux unshare=util-linux flock=util-linux sysctl=procps
  require_cgroups
}

# The kubelet needs these controllers, of either version of cgroups, and the
# right to make groups.
require_cgroups() {
  local controller missing=()
  for controller in cpu cpuset memory pids; do
    has_controller "$controller" || missing+=("$controller")
  done
  [ ${#missing[@]} = 0 ] || fail "cgroup controllers are lacking: ${missing[*]}" \
    "mount cgroup2 on /sys/fs/cgroup (or a v1 hierarchy per controller)"
  [ -w "$(tracking_hierarchy)/cgroup.procs" ] || fail "cannot make cgroups under $(tracking_hierarchy)" \
    "in a container, run it privileged and with a writable /sys/fs/cgroup"
}

has_controller() {
  if cgroup_v2; then grep -qw "$1" /sys/fs/cgroup/cgroup.controllers; else [ -d "/sys/fs/cgroup/$1" ]; fi
}
