#!/bin/sh
# Sets up, builds and runs all tests, and says how long each stage takes.
#
#   --strict   as in CI: also fails if a test is skipped for lack of Python 2.7, and runs the tests under address sanitizer,
#              including the servers that they start, half of them beside everything else
#   --release  before a release: all of that, all tests without the sanitizer, too, a look at each target of fuzzing, and three
#              minutes of a site's life with each core
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
'') strict=no release=no ;;
--strict) strict=yes release=no ;;
--release) strict=yes release=yes ;;
*) echo "usage: scripts/test.sh [--strict | --release]" >&2; exit 2 ;;
esac

# Runs a stage, and says how long it took.
stage() {
  name=$1
  shift
  began=$(date +%s)
  "$@"
  echo "== $name: $(($(date +%s) - began)) s"
}

stage setup scripts/setup.sh --test

if [ $strict = yes ]; then
  BCFG2_REQUIRE_CLIENT=1
  export BCFG2_REQUIRE_CLIENT
fi

# Runs the tests with their output in a file, and lists the failed ones at the end, where they are easy to find.
run_tests() {
  log=$1
  shift
  swift test --no-parallel "$@" > "$log" 2>&1 && failed=no || failed=yes
  report_tests "$log"
}
report_tests() {
  cat "$1"
  # No test at all is no success.
  grep -aq 'Test run with [1-9]' "$1" || failed=yes
  [ $failed = yes ] || return 0
  echo "failed:"
  grep -aE '✘|↳|Fatal error|signal code|ERROR: AddressSanitizer' "$1" || tail -n 40 "$1"
  return 1
}

# Runs what needs programs that not every machine has: it says so by exit status 3, which counts as success but in CI.
if_possible() {
  "$@" && return 0
  status=$?
  if [ $status -eq 3 ] && [ -z "${BCFG2_REQUIRE_CLIENT:-}" ]; then return 0; fi
  return $status
}

# What runs the built programs.
try_programs() {
  stage footprint scripts/footprint.sh
  stage "tests of the runners" python3 -m unittest discover -s Tests/Conformance
  stage "tests of the benchmarks" python3 -m unittest discover -s benchmarks
  # Tests run debug builds. The compiler's optimizer has changed what these programs do before.
  stage "cases of packages" python3 Tests/Conformance/conform.py check --server .build/release/bcfg2-server --jobs 4 'packages-*'
  stage faults python3 Tests/FaultInjection/run.py
  stage durability python3 Tests/FaultInjection/durability.py
  stage "durability of reports" python3 Tests/FaultInjection/reporting.py
  # haproxy, PostgreSQL
  stage "two servers" if_possible python3 Tests/Scale/servers.py
  stage proxies if_possible python3 Tests/Scale/proxies.py
  # slapd, python3-ldap
  stage "a directory" if_possible python3 Tests/Ldap/slapd.py
  # root, a mirror of Debian
  stage packages if_possible scripts/test-packages.sh .build/release .build/tested-packages
  # and a kernel that lets a container boot
  stage "packages under systemd" if_possible python3 Tests/Systemd/machine.py --build .build/release --packages .build/tested-packages
  stage "service manager" python3 Tests/Systemd/run.py --build .build/release
  stage "report pages" python3 Tests/Web/server.py --build .build/release
  stage "report pages in a browser" python3 Tests/Web/browser.py --build .build/release
  if [ $release = yes ]; then
    stage fuzzing scripts/fuzz.sh 3
    make -C benchmarks/load
    stage "a site's life" python3 benchmarks/soak.py --minutes 3 --check --server .build/release/bcfg2-server
    stage "a site's life, multiprocessing" python3 benchmarks/soak.py --minutes 3 --check --core multiprocessing \
      --server .build/release/bcfg2-server
  fi
}

# With the report pages and the core on SwiftNIO. The linker prints 160 lines about symbols of the sanitizer, which matter only if the
# build fails.
build_sanitized() {
  swift build --build-tests --traits Web,NIO --sanitize=address --scratch-path .build/asan > .build/asan/log 2>&1 || {
    cat .build/asan/log
    exit 1
  }
  touch .build/asan/is-built
}

# Runs tests under the sanitizer: ASAN_OPTIONS, a file for the output, and which tests. Leak detection needs ptrace, which containers
# often lack; other tests check leaks of descriptors and memory. One at a time: all share the main queue, so parallel tests are no
# faster. `swift test` would let nobody else use the same build meanwhile. A test that waits for ever is the last one that has started.
run_sanitized() {
  options=$1 log=$2
  shift 2
  ASAN_OPTIONS=detect_leaks=0$options timeout 2400 "$(pwd -P)/.build/asan/debug/bcfg2-swiftPackageTests.xctest" --testing-library swift-testing \
    --no-parallel "$@" > "$log" 2>&1 && failed=no || failed=yes
  report_tests "$log"
}

# Tests that start processes, and the rest. Those of crashes need the signals that the sanitizer takes; of a process that the test
# forks Swift would write a report.
processes='^(ProcessTests|ReportWebTests|NIOServerTests)\.'
crashes='gatheredLinesSurviveACrash|aCrashIsOneLineOfTheLogAndTakesNoTime'
unhandled=:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_abort=0
sanitize_processes() {
  run_sanitized '' .build/asan/processes.log --filter "$processes" --skip "$crashes"
  run_sanitized $unhandled .build/asan/crash.log --filter aCrashIsOneLineOfTheLogAndTakesNoTime
  SWIFT_BACKTRACE=enable=no
  export SWIFT_BACKTRACE
  run_sanitized $unhandled .build/asan/crashes.log --filter gatheredLinesSurviveACrash
  unset SWIFT_BACKTRACE
}
sanitize_others() { run_sanitized '' .build/asan/others.log --skip "$processes|$crashes"; }

# Two builds begin at once below: what they depend on is here before.
stage dependencies swift package resolve
stage format swift format lint --strict --recursive --parallel Sources Tests Package.swift
sanitized=
if [ $strict = yes ]; then
  # On a processor of its own. The release build leaves much of the other one, because modules wait for each other.
  mkdir -p .build/asan
  rm -f .build/asan/is-built
  {
    stage "sanitized build" build_sanitized
    stage "sanitized tests" sanitize_others
  } > .build/asan/out 2>&1 &
  sanitized=$!
  trap '[ -z "$sanitized" ] || kill $sanitized 2>/dev/null || true' EXIT
fi
stage "release build" scripts/release-build.sh
try_programs
if [ $strict = yes ]; then
  while [ ! -e .build/asan/is-built ] && kill -0 $sanitized 2>/dev/null; do sleep 1; done
  if [ -e .build/asan/is-built ]; then stage "sanitized tests of processes" sanitize_processes; fi
  wait $sanitized && failed=no || failed=yes
  sanitized=
  echo "== beside this"
  cat .build/asan/out
  [ $failed = no ]
fi
if [ $strict = no ] || [ $release = yes ]; then
  stage tests run_tests .build/tests.log --traits Web,NIO
fi
