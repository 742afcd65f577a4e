# What the user sees: numbered steps with their seconds, and failures that say
# what to do.

fail() {
  printf 'cluster: %s\n' "$@" >&2
  exit 1
}

# plan N: N steps are to come.
plan() {
  STEPS=$1 STEP=0 PLAN_STARTED=${EPOCHREALTIME/./}
}

# step TITLE COMMAND...: runs the command as the next step of the plan.
step() {
  local title=$1 started=${EPOCHREALTIME/./}
  shift
  STEP=$((STEP + 1))
  printf '[%d/%d] %s ... ' "$STEP" "$STEPS" "$title"
  "$@"
  printf '%s s\n' "$(seconds_since "$started")"
}

# seconds_since MICROSECONDS: the time since then, with one decimal.
seconds_since() {
  local tenths=$(((${EPOCHREALTIME/./} - $1) / 100000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# wait_for SECONDS WHAT COMMAND...: repeats the command until it succeeds. Gives
# up at the deadline, or at once when a component has died.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2 dead
  shift 2
  until "$@" >/dev/null 2>&1; do
    dead=$(dead_components)
    [ -z "$dead" ] || fail_with_log "${dead%% *}" "${dead%% *} ended while waiting for $what"
    [ "$SECONDS" -lt "$deadline" ] || fail "gave up waiting for $what" \
      "still failing: $*" "the components' logs are in $LOGS"
    sleep 0.1
  done
}

fail_with_log() {
  printf '\n' >&2
  tail -n 15 "$LOGS/$1.log" >&2
  fail "$2" "its log is $LOGS/$1.log"
}
