# Java, Maven and the jars: what must be there before a node can run. Sourced by ./kafka.

version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
lib=$home/$version/lib
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

# Exit code 3 says that this machine lacks a program, so that callers can fall back to an embedded broker.
lacks() {
  say "lacks $*"
  exit 3
}

# apt_install PACKAGE... installs the first of the packages that this Debian has.
apt_install() {
  [[ ${KAFKA_INSTALL:-yes} != no && $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
  local refresh package
  for refresh in no yes; do
    [[ $refresh == no ]] || apt-get -qq update || return 1
    for package; do
      say "installing $package"
      DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$package" >"$home/apt.log" 2>&1 && return
    done
  done
  say "could not install $*; see $home/apt.log"
  return 1
}

java_major() {
  "$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p;T;q'
}

need_java() {
  local major
  major=$(java_major)
  [[ ${major:-0} -ge 17 ]] && return
  [[ -n ${JAVA_HOME:-} ]] && lacks "Java 17 or newer: JAVA_HOME=$JAVA_HOME has ${major:-none}"
  apt_install openjdk-17-jre-headless openjdk-21-jre-headless && hash -r && [[ $(java_major) -ge 17 ]] && return
  lacks "Java 17 or newer: ${major:+found $major; }install a package such as openjdk-17-jre-headless"
}

need_maven() {
  command -v mvn >/dev/null && return
  apt_install maven && hash -r && return
  lacks "Maven, which brings Kafka's jars: install the package maven"
}

# copy_jars DIRECTORY brings the jars that pom.xml names, and no others.
copy_jars() {
  need_maven
  rm -rf "$1"
  mvn -B -q -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1" >"$home/mvn.log" 2>&1 ||
    die "could not bring the jars of Kafka $version: $(grep -m1 ERROR "$home/mvn.log" || tail -1 "$home/mvn.log")"
}

sums() {
  (cd "$1" && LC_ALL=C && sha256sum -- *.jar)
}

# wrong_jars DIRECTORY prints each jar that differs from the lock file, is missing or is extra.
wrong_jars() {
  awk 'FILENAME == ARGV[1] { locked[$2] = $1; next }
       !($2 in locked)     { print "extra: " $2; next }
       locked[$2] != $1    { print "differs: " $2 }
                           { delete locked[$2] }
       END                 { for (name in locked) print "missing: " name }' "$here/jars.sha256" <(sums "$1")
}

build() {
  need_java
  [[ -d $lib && -z $(wrong_jars "$lib") ]] && return
  say "bringing the jars of Kafka $version"
  copy_jars "$lib.new"
  local wrong
  wrong=$(wrong_jars "$lib.new")
  [[ -z $wrong ]] || die "jars don't match hack/kafka/jars.sha256 (after a wanted change run 'kafka lock'):"$'\n'"$wrong"
  rm -rf "$lib" && mv "$lib.new" "$lib"
}

lock() {
  need_java
  copy_jars "$lib.new"
  sums "$lib.new" >"$here/jars.sha256"
  rm -rf "$lib.new"
  say "locked $(wc -l <"$here/jars.sha256") jars of Kafka $version"
}
