#!/bin/sh
# Sets up, builds and runs all tests. --strict, as CI does: fail where a test is skipped for want of Python 2.7, and run
# them once more under address sanitizer, with the server that they start under it, too.
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh --test

if [ "${1:-}" = --strict ]; then
  BCFG2_REQUIRE_CLIENT=1
  export BCFG2_REQUIRE_CLIENT
fi

# Runs the tests, and says at the end which of them failed: between thousands of lines they are not found.
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
python3 Tests/FaultInjection/run.py
python3 Tests/FaultInjection/durability.py
scripts/fuzz.sh 3

# One test at a time: all share the main queue, so that side by side they are no faster, and on a busy machine they keep
# each other waiting for longer than the time limits of the programs that some of them run.
if [ "${1:-}" = --strict ]; then
  sanitized=.build/asan
  mkdir -p $sanitized
  # The linker says 160 lines about symbols of the sanitizer, which matter only where the build fails.
  swift build --build-tests --sanitize=address --scratch-path $sanitized > $sanitized/log 2>&1 || {
    cat $sanitized/log
    exit 1
  }
  # Processes that end by a fault's signal are tested below: here the sanitizer has the signals.
  # Leaks need ptrace, which containers often lack; those of descriptors and memory have tests of their own.
  ASAN_OPTIONS=detect_leaks=0
  export ASAN_OPTIONS
  run_tests --sanitize=address --scratch-path $sanitized --skip-build \
    --skip gatheredLinesSurviveACrash --skip aCrashIsOneLineOfTheLogAndTakesNoTime
fi
run_tests
