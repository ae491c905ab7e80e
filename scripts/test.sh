#!/bin/sh
# Sets up, builds and runs all tests. --strict, as in CI: also fails if a test is skipped for lack of Python 2.7, and runs
# them once more under address sanitizer, including the server that they start, beside everything else.
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh --test

if [ "${1:-}" = --strict ]; then
  BCFG2_REQUIRE_CLIENT=1
  export BCFG2_REQUIRE_CLIENT
fi

# Runs the tests with their output in a file, and lists the failed ones at the end, where they are easy to find.
run_tests() {
  log=$1
  shift
  swift test --no-parallel "$@" > "$log" 2>&1 && failed=no || failed=yes
  cat "$log"
  [ $failed = yes ] || return 0
  echo "failed:"
  grep -aE '✘|↳|Fatal error|signal code' "$log" || tail -n 40 "$log"
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
  scripts/footprint.sh
  python3 -m unittest discover -s Tests/Conformance
  python3 -m unittest discover -s benchmarks
  # Tests run debug builds. The compiler's optimizer has changed what these programs do before.
  python3 Tests/Conformance/conform.py check --server .build/release/bcfg2-server --jobs 4 'packages-*'
  python3 Tests/FaultInjection/run.py
  python3 Tests/FaultInjection/durability.py
  python3 Tests/FaultInjection/reporting.py
  # haproxy, PostgreSQL
  if_possible python3 Tests/Scale/servers.py
  if_possible python3 Tests/Scale/proxies.py
  # root, a mirror of Debian
  if_possible scripts/test-packages.sh .build/release
  scripts/fuzz.sh 3
  python3 Tests/Systemd/run.py --build .build/release
  python3 Tests/Web/server.py --build .build/release
  python3 Tests/Web/browser.py --build .build/release
}

# Tests of crashing processes run without the sanitizer, which handles the signals here. Leak detection needs ptrace, which
# containers often lack; other tests check leaks of descriptors and memory.
run_sanitized() {
  ASAN_OPTIONS=detect_leaks=0
  export ASAN_OPTIONS
  run_tests .build/sanitized.log --sanitize=address --disable-default-traits --scratch-path .build/asan --skip-build \
    --skip gatheredLinesSurviveACrash --skip aCrashIsOneLineOfTheLogAndTakesNoTime
}

swift format lint --strict --recursive --parallel Sources Tests Package.swift
scripts/release-build.sh
sanitized=
if [ "${1:-}" = --strict ]; then
  mkdir -p .build/asan
  # The linker prints 160 lines about symbols of the sanitizer, which matter only if the build fails.
  swift build --build-tests --sanitize=address --disable-default-traits --scratch-path .build/asan > .build/asan/log 2>&1 || {
    cat .build/asan/log
    exit 1
  }
  # One test at a time: all share the main queue, so parallel tests are no faster. The sanitized ones take as long as
  # everything else together, on a processor of their own.
  run_sanitized > .build/sanitized.out 2>&1 &
  sanitized=$!
  trap '[ -z "$sanitized" ] || kill $sanitized 2>/dev/null || true' EXIT
fi
try_programs
run_tests .build/tests.log
if [ -n "$sanitized" ]; then
  wait $sanitized && failed=no || failed=yes
  sanitized=
  echo "== under address sanitizer"
  cat .build/sanitized.out
  [ $failed = no ]
fi
