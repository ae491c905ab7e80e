#!/bin/sh
# Sets up, builds and runs all tests. --strict: fail where a test is skipped for want of Python 2.7 (as CI does).
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh --test

if [ "${1:-}" = --strict ]; then
  BCFG2_REQUIRE_CLIENT=1
  export BCFG2_REQUIRE_CLIENT
fi

swift format lint --strict --recursive --parallel Sources Tests Package.swift
swift build -c release
scripts/footprint.sh
python3 Tests/FaultInjection/run.py
scripts/fuzz.sh 3
swift test
