#!/bin/sh
# Sets up, builds and runs all tests. --strict, as in CI: also fails if a test is skipped for lack of Python 2.7, and runs
# them once more under address sanitizer, including the server that they start.
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh --test

if [ "${1:-}" = --strict ]; then
  BCFG2_REQUIRE_CLIENT=1
  export BCFG2_REQUIRE_CLIENT
fi

# Runs the tests, and lists the failed ones at the end, where they are easy to find.
run_tests() {
  rm -f .build/failed
  { swift test --no-parallel "$@" 2>&1 || touch .build/failed; } | tee .build/tests.log
  [ -e .build/failed ] || return 0
  rm .build/failed
  echo "failed:"
  grep -aE '✘|↳|Fatal error|signal code' .build/tests.log || tail -n 40 .build/tests.log
  exit 1
}

swift format lint --strict --recursive --parallel Sources Tests Package.swift
swift build -c release
scripts/footprint.sh
# Other tests run debug builds. The compiler's optimizer has changed what these programs do before.
python3 Tests/Conformance/conform.py check --server .build/release/bcfg2-server --jobs 6 'packages-*'
python3 Tests/FaultInjection/run.py
python3 Tests/FaultInjection/durability.py
python3 Tests/FaultInjection/reporting.py
# Exit status 3: haproxy or PostgreSQL is missing.
python3 Tests/Scale/servers.py || { [ $? -eq 3 ] && [ -z "${BCFG2_REQUIRE_CLIENT:-}" ]; }
scripts/fuzz.sh 3
python3 Tests/Web/server.py --build .build/release
python3 Tests/Web/browser.py --build .build/release

# One test at a time: all share the main queue, so parallel tests are no faster, and on a busy machine they delay each other
# beyond the time limits of the programs that some of them run.
if [ "${1:-}" = --strict ]; then
  sanitized=.build/asan
  mkdir -p $sanitized
  # The linker prints 160 lines about symbols of the sanitizer, which matter only if the build fails.
  swift build --build-tests --sanitize=address --disable-default-traits --scratch-path $sanitized > $sanitized/log 2>&1 || {
    cat $sanitized/log
    exit 1
  }
  # Tests of crashing processes run below without the sanitizer, which handles the signals here.
  # Leak detection needs ptrace, which containers often lack; other tests check leaks of descriptors and memory.
  ASAN_OPTIONS=detect_leaks=0
  export ASAN_OPTIONS
  run_tests --sanitize=address --disable-default-traits --scratch-path $sanitized --skip-build \
    --skip gatheredLinesSurviveACrash --skip aCrashIsOneLineOfTheLogAndTakesNoTime
fi
run_tests
