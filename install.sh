#!/usr/bin/env bash
# Install, upgrade and start h5sup; `./install.sh --help` tells how. Safe to run again at any time.
set -Eeuo pipefail

usage() {
  cat <<'TEXT'
usage: ./install.sh [--no-start | --systemd | --test]

Installs everything h5sup needs on Debian 12 or 13 or Raspberry Pi OS (amd64, arm64), makes the
demo clip, starts h5sup under supervisord and prints its address. Run it again after an upgrade:
it installs what is new and restarts h5sup. It never touches config.json.

  --no-start   install only
  --systemd    run h5sup as a systemd service that also starts with the machine
  --test       install what the tests need and run all of them; nothing is started
  --help       show this text

It needs root or sudo for Debian packages, and only when one is missing.
PYTHON=/path/to/python3 names another Python (3.11 or newer) for the virtual environment.
TEXT
}

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
cd -- "$here"

readonly run_folder="$here/run"
readonly log="$run_folder/install.log"
readonly venv="$here/.venv"
readonly unit=/etc/systemd/system/h5sup.service

readonly runtime_packages=(ca-certificates ffmpeg python3 python3-venv util-linux)
readonly test_packages=(
  chromium fonts-dejavu-core git gir1.2-gst-rtsp-server-1.0 gstreamer1.0-libav
  gstreamer1.0-plugins-bad gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  iproute2 make mosquitto procps python3-gi
)

mode=start
step_number=0
step_count=6
step_name="reading the command line"
heartbeat_pid=""


say() { printf '      %s\n' "$*"; }

step() {
  step_number=$((step_number + 1))
  step_name=$1
  printf '[%d/%d] %s\n' "$step_number" "$step_count" "$step_name"
}

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

on_unexpected() {
  ((BASH_SUBSHELL == 0)) || return 0
  printf 'install.sh: stopped in step %d (%s), line %d; run it again, and see %s\n' \
    "$step_number" "$step_name" "$1" "$log" >&2
}

stop_heartbeat() {
  [[ -z $heartbeat_pid ]] || kill "$heartbeat_pid" 2>/dev/null || true
  heartbeat_pid=""
}

trap 'on_unexpected "$LINENO"' ERR
trap stop_heartbeat EXIT

heartbeat() {
  trap - ERR EXIT
  local began=$SECONDS begin
  begin=$(stat -c %s "$log")
  while sleep 5 >/dev/null 2>&1; do
    say "$((SECONDS - began)) s ... $(newest_log_line "$begin")"
  done
}

newest_log_line() {
  tail -c "+$(($1 + 1))" "$log" | tail -c 4000 | tr '\r' '\n' | { grep -Ev '^[[:space:]]*$|^\+ ' || true; } |
    tail -n 1 | cut -c 1-90
}

# run_logged ADVICE COMMAND...: output goes to the log, a line every 5 s to the terminal.
run_logged() {
  local advice=$1 status=0
  shift
  printf '\n+ %s\n' "$*" >>"$log"
  heartbeat 9>&- &
  heartbeat_pid=$!
  "$@" >>"$log" 2>&1 </dev/null 9>&- || status=$?
  stop_heartbeat
  if ((status != 0)); then
    tail -n 5 "$log" | cut -c 1-200 | sed 's/^/      | /' >&2
    fail "$advice (log: $log)"
  fi
}


# Root installs Debian packages; everything else belongs to the owner of this folder, so that
# `sudo ./install.sh` in a user's clone leaves no file that the user can't change.
owner="$(stat -c %U .)"
[[ $owner != UNKNOWN ]] || owner=root

as_owner() {
  if ((EUID == 0)) && [[ $owner != root ]]; then
    runuser -u "$owner" -- env HOME="$(getent passwd "$owner" | cut -d: -f6)" "$@"
  else
    "$@"
  fi
}

can_be_root() { ((EUID == 0)) || command -v sudo >/dev/null; }

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }


read_options() {
  while (($# > 0)); do
    case $1 in
      --no-start | --systemd | --test)
        if [[ $mode != start && $mode != "${1#--}" ]]; then
          printf 'install.sh: --%s and %s exclude each other\n' "$mode" "$1" >&2
          exit 2
        fi
        mode=${1#--}
        ;;
      -h | --help) usage && exit 0 ;;
      *)
        printf 'install.sh: unknown option %s, see ./install.sh --help\n' "$1" >&2
        exit 2
        ;;
    esac
    shift
  done
  [[ $mode != no-start ]] || step_count=5
}

check_machine() {
  step "Checking this machine"
  local supported="h5sup installs on Debian 12 or 13 or Raspberry Pi OS, 64 bit (amd64 or arm64)"
  local id="" version="" name="this system" machine
  if [[ -r /etc/os-release ]]; then
    # shellcheck disable=SC1091  # a file of the system
    id=$(. /etc/os-release && printf '%s' "${ID:-}")
    # shellcheck disable=SC1091
    version=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
    # shellcheck disable=SC1091
    name=$(. /etc/os-release && printf '%s' "${PRETTY_NAME:-$name}")
  fi
  case $id:$version in
    debian:12 | debian:13 | raspbian:12 | raspbian:13) ;;
    *) fail "$supported; this is $name" ;;
  esac
  machine=$(dpkg --print-architecture)
  case $machine in
    amd64 | arm64) ;;
    *) fail "$supported; this system is $machine" ;;
  esac
  if [[ $here =~ [^A-Za-z0-9_./+@~,-] ]] || ((${#here} > 80)); then
    fail "the folder's path must be plain (letters, digits, . _ - +) and up to 80 letters: $here"
  fi
  if [[ $mode == systemd && ! -d /run/systemd/system ]]; then
    fail "this machine doesn't run systemd; ./install.sh without --systemd uses supervisord"
  fi
  if [[ $mode == systemd ]] && ! can_be_root; then
    fail "--systemd writes $unit: run it as root or install sudo"
  fi
  if [[ -r $unit && $mode == systemd ]] && ! grep -qxF "WorkingDirectory=$here" "$unit"; then
    fail "$unit belongs to another installation: $(sed -n 's/^WorkingDirectory=//p' "$unit")"
  fi
  if (($(df -Pm . | awk 'NR == 2 {print $4}') < 500)); then
    fail "less than 500 MB are free in $here: make room and run it again"
  fi
  open_log
  say "$name, $machine"
}

open_log() {
  as_owner mkdir -p "$run_folder" 2>/dev/null || fail "can't write in $here: run it as $owner"
  as_owner touch "$log" "$run_folder/install.lock" 2>/dev/null ||
    fail "can't write in $run_folder: run it as $owner, or as root"
  exec 9>"$run_folder/install.lock"
  flock -n 9 || fail "another install.sh is at work in this folder"
  printf '+ %s ./install.sh (%s)\n' "$(date -u +%FT%TZ)" "$mode" >"$log"
}

install_debian_packages() {
  step "Debian packages"
  local wanted=("${runtime_packages[@]}") missing=() package status
  [[ $mode != test ]] || wanted+=("${test_packages[@]}")
  for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed ]] || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    say "all there"
    return
  fi
  say "installing ${missing[*]}"
  can_be_root || fail "needs root: install sudo, or let root run: apt-get install ${missing[*]}"
  ((EUID == 0)) || sudo -v || fail "sudo said no: run it as a user who may use sudo, or as root"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q -y)
  if ! (run_logged "the package lists could not be renewed" as_root "${apt[@]}" update); then
    say "going on with the package lists there are"
  fi
  run_logged "Debian packages could not be installed: check the network and /etc/apt, then run it again" \
    as_root "${apt[@]}" install --no-install-recommends "${missing[@]}"
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} ${PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>>"$log"; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

# A virtual environment breaks when its folder moves or the system's Python is upgraded.
venv_works() {
  [[ -x $venv/bin/python && -r $venv/bin/pip ]] &&
    grep -qF "$venv/bin/python" <(head -n 1 "$venv/bin/pip") &&
    "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>>"$log"
}

install_python_packages() {
  step "Python packages in .venv"
  local python requirements=requirements.txt
  [[ $mode != test ]] || requirements="requirements-dev.txt"
  if [[ -n ${PYTHON:-} ]] || ! venv_works; then
    python=$(find_python) ||
      fail "no Python 3.11 or newer with venv found: apt-get install python3-venv, or set PYTHON (log: $log)"
    say "making .venv with $python"
    run_logged "the virtual environment could not be made: check the disk, then run it again" \
      as_owner "$python" -m venv --clear "$venv"
  fi
  run_logged "Python packages could not be installed: check the network, then run it again" \
    as_owner "$venv/bin/python" -m pip install --no-input --disable-pip-version-check \
    --progress-bar off -r "$requirements"
  say "$("$venv/bin/python" --version), $requirements"
}

node_is_at_least() {
  npm --version >/dev/null 2>>"$log" && node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    const [least, after] = process.argv[1].split(".").map(Number);
    process.exit(major > least || (major === least && minor >= after) ? 0 : 1);
  ' "$1" 2>>"$log"
}

install_browser_packages() {
  step "Browser packages in www/node_modules"
  local omit=(--omit=dev) least=18.0 stamp=www/node_modules/.installed wanted
  export PATH="$venv/bin:$PATH"
  if [[ $mode == test ]]; then
    omit=()
    least=20.19
  fi
  if ! node_is_at_least "$least"; then
    say "no npm with Node.js $least or newer here: taking the one from PyPI"
    run_logged "npm could not be installed: check the network, then run it again" \
      as_owner "$venv/bin/python" -m pip install --no-input --disable-pip-version-check \
      --progress-bar off -r requirements-node.txt
  fi
  wanted="$(sha256sum www/package-lock.json | cut -d ' ' -f 1)"
  if grep -qxF -e "$wanted${omit[*]}" -e "$wanted" "$stamp" 2>/dev/null; then
    say "all there"
    return
  fi
  run_logged "browser packages could not be installed: check the network, then run it again" \
    as_owner env PATH="$PATH" npm --prefix www ci --no-audit --no-fund "${omit[@]}"
  printf '%s\n' "$wanted${omit[*]}" | as_owner tee "$stamp" >/dev/null
}

# 16 s are 400 pictures and 750 AAC frames: both tracks end together, so the loop has no seam.
make_demo_clip() {
  step "Demo clip media/demo.mp4"
  local clip=media/demo.mp4 sound=media/.demo.aac partial=media/.demo.mp4 clock
  if [[ -s $clip ]]; then
    say "there already"
    return
  fi
  local ffmpeg=(as_owner ffmpeg -hide_banner -nostdin -nostats -loglevel level+error -y)
  local advice="the demo clip could not be made: check the disk, then run it again"
  clock=$(demo_clock)
  as_owner mkdir -p media
  run_logged "$advice" "${ffmpeg[@]}" \
    -f lavfi -i "sine=frequency=330:beep_factor=4:sample_rate=48000:duration=17" \
    -af volume=0.2 -ac 1 -c:a aac -b:a 64k -frames:a 750 -f adts "$sound"
  run_logged "$advice" "${ffmpeg[@]}" \
    -f lavfi -i "testsrc2=size=1280x720:rate=25:duration=16" -i "$sound" -map 0:v -map 1:a \
    -vf "${clock}format=yuv420p" -c:v libx264 -preset veryfast -profile:v main -bf 0 \
    -g 25 -keyint_min 25 -sc_threshold 0 -b:v 1500k -maxrate 2000k -bufsize 2000k \
    -c:a copy -bsf:a aac_adtstoasc -movflags +faststart -f mp4 "$partial"
  as_owner mv "$partial" "$clip"
  as_owner rm -f "$sound"
}

# The clock needs a font; testsrc2 moves without one too.
demo_clock() {
  local font=/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf filter
  if [[ -r $font && $(ffmpeg -hide_banner -filters 2>/dev/null) == *' drawtext '* ]]; then
    filter="drawtext=fontfile=$font:text='%{pts\:hms}':fontsize=72:fontcolor=white"
    printf '%s' "$filter:box=1:boxcolor=black@0.6:boxborderw=16:x=(w-text_w)/2:y=h-140,"
  fi
}

run_tests() {
  step "Tests: make test e2e"
  local status=0 report="$run_folder/test.log"
  as_owner env PATH="$PATH" make -k test e2e 2>&1 </dev/null 9>&- | as_owner tee "$report" || status=$?
  printf '\nClosing lines of this run (all output: %s)\n' "$report"
  grep -E '^=+ .*(passed|failed|error|no tests ran).* =+$' "$report" || true
  exit "$status"
}

startup() { as_owner "$venv/bin/python" packaging/startup.py "$@"; }

supervisorctl() { as_owner "$venv/bin/supervisorctl" -c packaging/supervisord.conf "$@"; }

# In a container whose first process reaps no children, one that ended stays as a zombie.
is_alive() { [[ -r /proc/$1/status ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status"; }

stop_supervisord() {
  local pid waited=0
  pid=$(supervisorctl pid 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 0
  say "stopping the h5sup that runs here"
  supervisorctl shutdown >>"$log" 2>&1 || true
  while is_alive "$pid"; do
    ((waited < 80)) || fail "h5sup did not stop in 40 s: end process $pid, then run it again"
    sleep 0.5
    waited=$((waited + 1))
  done
}

# RTP from ffmpeg arrives in bursts of a key frame; 4 MB hold one of a 4K camera.
raise_socket_buffers() {
  local setting=/proc/sys/net/core/rmem_max bytes=4194304
  [[ -r $setting ]] && (($(cat "$setting") < bytes)) && can_be_root || return 0
  if ! as_root sh -c "echo 'net.core.rmem_max = $bytes' >/etc/sysctl.d/60-h5sup.conf &&
      echo $bytes >$setting" 2>>"$log"; then
    say "net.core.rmem_max stays at $(cat "$setting"); a 4K camera may lose packets"
  fi
}

start() {
  step "Starting h5sup"
  as_owner "$venv/bin/python" run.py --check || fail "h5sup can't start as the line above says: mend that, then run it again"
  raise_socket_buffers
  stop_supervisord
  if [[ $mode == systemd || -e $unit ]] && service_is_ours; then
    start_service
  else
    start_supervisord
  fi
}

service_is_ours() {
  [[ $mode == systemd ]] || { [[ -d /run/systemd/system ]] && grep -qxF "WorkingDirectory=$here" "$unit"; }
}

start_supervisord() {
  local begin=0 limit
  startup port-is-free || exit 1
  [[ ! -e run/h5sup.log ]] || begin=$(stat -c %s run/h5sup.log)
  limit=$(ulimit -Hn)
  [[ $limit != unlimited ]] && ((limit < 65536)) || limit=65536
  (ulimit -Sn "$limit" && as_owner "$venv/bin/supervisord" -c packaging/supervisord.conf) \
    >>"$log" 2>&1 </dev/null 9>&- || fail "supervisord did not start: see $log"
  startup wait --log run/h5sup.log --begin "$begin" || exit 1
  say "state: .venv/bin/supervisorctl -c packaging/supervisord.conf status"
  say "It does not start with the machine; ./install.sh --systemd makes it."
}

start_service() {
  as_root systemctl stop h5sup.service >>"$log" 2>&1 || true
  startup port-is-free || exit 1
  sed -e "s|@FOLDER@|$here|g" -e "s|@USER@|$owner|g" packaging/h5sup.service |
    as_root tee "$unit" >/dev/null
  run_logged "systemd refused the service: see systemctl status h5sup" as_root systemctl daemon-reload
  run_logged "systemd refused the service: see systemctl status h5sup" as_root systemctl enable --now h5sup.service
  startup wait || exit 1
  say "state: systemctl status h5sup    log: journalctl -u h5sup"
}

main() {
  read_options "$@"
  check_machine
  install_debian_packages
  install_python_packages
  install_browser_packages
  make_demo_clip
  case $mode in
    test) run_tests ;;
    no-start) say "installed; ./install.sh or ./run.py starts h5sup" ;;
    *) start ;;
  esac
}

main "$@"
