#!/bin/sh
# Installs the real Bcfg2 servers 1.3.4 and 1.4, for benchmarks and for recording conformance cases:
# .build/reference/1.3.4/bin/bcfg2-server and .build/reference/1.4/bin/bcfg2-server, each with its tools and its client.
# bcfg2-crypt needs M2Crypto, which is compiled: it needs swig, a C compiler and OpenSSL's headers. The schemas of bcfg2-lint
# are in .build/reference/1.4/share/bcfg2/schemas; those of 1.3.4 are not in its package, and its bcfg2-lint takes these.
#
#   scripts/reference-servers.sh            needs a Python 2.7 (BCFG2_PYTHON27 names it) and the network
#   BCFG2_SOURCE=DIR scripts/reference-servers.sh     takes 1.4 from a clone of https://github.com/Bcfg2/bcfg2
set -eu
cd "$(dirname "$0")/.."

python=
for candidate in "${BCFG2_PYTHON27:-}" python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
  # A version switcher's shim may exist without its Python.
  if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || {
  echo "reference-servers: no Python 2.7 found; BCFG2_PYTHON27 may name one" >&2
  exit 1
}

folder=.build/reference
mkdir -p $folder
[ -d $folder/virtualenv ] ||
  "$python" -m pip install -q --disable-pip-version-check --target $folder/virtualenv 'virtualenv<20.22'

# install VERSION PACKAGE...
install() {
  version=$1
  shift
  [ -x "$folder/$version/bin/python" ] || PYTHONPATH=$folder/virtualenv "$python" -m virtualenv -q "$folder/$version"
  "$folder/$version/bin/pip" install -q --disable-pip-version-check \
    lxml genshi 'Cheetah3<3.3' 'jinja2<3' 'PyYAML<6' pyinotify 'python-daemon<2' lockfile argparse \
    'nose<1.4' 'm2crypto<0.39' "$@"
}

# 1.3.4 picks up any installed Django and fails with a later one.
install 1.3.4 'Django<1.6' 'South<1.1' Bcfg2==1.3.4

source=${BCFG2_SOURCE:-$folder/bcfg2}
[ -d "$source" ] || git clone -q https://github.com/Bcfg2/bcfg2 "$source"
install 1.4 'django<1.12' "$source"

for version in 1.3.4 1.4; do
  "$folder/$version/bin/python" -c 'import Bcfg2.version; print("Bcfg2 " + Bcfg2.version.__version__)'
done
echo "installed below $folder"
