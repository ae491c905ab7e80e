#!/bin/sh
# Sets up, builds and runs all tests, and says how long each stage takes.
#
#   --strict   as in CI: also fails if a test is skipped for lack of Python 2.7, and runs the tests under address sanitizer,
#              including the servers that they start, beside everything else. Without the sanitizer run then only those that
#              start servers, and those that cannot run under it
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

# Tests of crashing processes run without the sanitizer, which handles the signals here. Leak detection needs ptrace, which
# containers often lack; other tests check leaks of descriptors and memory.
run_sanitized() {
  ASAN_OPTIONS=detect_leaks=0
  export ASAN_OPTIONS
  run_tests .build/sanitized.log --sanitize=address --disable-default-traits --scratch-path .build/asan --skip-build \
    --skip gatheredLinesSurviveACrash --skip aCrashIsOneLineOfTheLogAndTakesNoTime
}

# The linker prints 160 lines about symbols of the sanitizer, which matter only if the build fails.
build_sanitized() {
  swift build --build-tests --sanitize=address --disable-default-traits --scratch-path .build/asan > .build/asan/log 2>&1 || {
    cat .build/asan/log
    exit 1
  }
}

# One test at a time: all share the main queue, so parallel tests are no faster. Build and tests with the sanitizer take as long as
# everything else together, on a processor of their own.
sanitized_tests() {
  stage "sanitized build" build_sanitized
  stage "sanitized tests" run_sanitized
}

# Two builds begin at once below: what they depend on is here before.
stage dependencies swift package resolve
stage format swift format lint --strict --recursive --parallel Sources Tests Package.swift
sanitized=
if [ $strict = yes ]; then
  mkdir -p .build/asan
  sanitized_tests > .build/sanitized.out 2>&1 &
  sanitized=$!
  trap '[ -z "$sanitized" ] || kill $sanitized 2>/dev/null || true' EXIT
fi
stage "release build" scripts/release-build.sh
try_programs
# With the core on SwiftNIO. Only those that the sanitized tests have not run: all but those of processes, of the report pages and of
# that core, which they are built without.
if [ $strict = yes ] && [ $release = no ]; then
  stage tests run_tests .build/tests.log --traits Web,NIO --filter '^(ProcessTests|ReportWebTests|NIOServerTests)\.' \
    --filter gatheredLinesSurviveACrash
else
  stage tests run_tests .build/tests.log --traits Web,NIO
fi
if [ -n "$sanitized" ]; then
  wait $sanitized && failed=no || failed=yes
  sanitized=
  echo "== under address sanitizer"
  cat .build/sanitized.out
  [ $failed = no ]
fi
