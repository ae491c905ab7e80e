#!/bin/sh
# Installs the build dependencies on Debian and its relatives: the headers of OpenSSL, libxml2, PCRE2, libyaml, libcurl and of
# the compressions that mirrors use, gpgv, and pkg-config. With --test also those of the tests: python3 with the libraries that
# render templates, openssl, gnupg, createrepo_c, PostgreSQL and MariaDB with their client libraries (the tests start servers of
# their own), haproxy, slapd with its tools, chromium, graphviz, what makes and tries packages, and, if there is a Python 2.7, an environment with the
# Bcfg2 1.3.4 client and the same libraries (.build/bcfg2-client).
set -eu
cd "$(dirname "$0")/.."

with_tests=no
[ "${1:-}" = --test ] && with_tests=yes

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

need=
for package in libssl-dev libxml2-dev libpcre2-dev libyaml-dev libcurl4-openssl-dev zlib1g-dev liblzma-dev libzstd-dev \
  libbz2-dev gpgv pkg-config curl openssl libxml2-utils; do
  dpkg -s "$package" >/dev/null 2>&1 || need="$need $package"
done
if [ "$with_tests" = yes ]; then
  for package in python3 git patch openssh-client valgrind gnupg createrepo-c \
    debhelper lintian debootstrap rpm dpkg-dev binutils systemd-container \
    sqlite3 libsqlite3-0 postgresql libpq5 mariadb-server libmariadb3 haproxy chromium graphviz \
    slapd ldap-utils python3-ldap \
    python3-genshi python3-cheetah python3-jinja2 python3-lxml python3-yaml; do
    dpkg -s "$package" >/dev/null 2>&1 || command -v "$package" >/dev/null 2>&1 || need="$need $package"
  done
fi
if [ -n "$need" ]; then
  command -v apt-get >/dev/null || {
    echo "setup: please install these, or what your system calls them:$need" >&2
    exit 1
  }
  as_root apt-get update -q
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -q --no-install-recommends $need
fi

command -v swift >/dev/null || {
  echo "setup: no Swift toolchain on PATH; 6.2 or later is needed, see https://www.swift.org/install/linux/" >&2
  exit 1
}

[ "$with_tests" = yes ] || exit 0

client=.build/bcfg2-client
if ! { [ -x "$client/bin/bcfg2" ] && "$client/bin/python" -c 'import Cheetah, genshi, jinja2, lxml, yaml'; } 2>/dev/null; then
  python=
  for candidate in python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
    # A version switcher's shim may exist without its Python.
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1; then
      python=$candidate
      break
    fi
  done
  if [ -z "$python" ]; then
    echo "setup: no Python 2.7 found: the test with the real Bcfg2 client will be skipped" >&2
    exit 0
  fi
  mkdir -p .build
  rm -rf "$client" .build/virtualenv
  "$python" -m pip install -q --disable-pip-version-check --target .build/virtualenv 'virtualenv<20.22'
  PYTHONPATH=.build/virtualenv "$python" -m virtualenv -q "$client"
  "$client/bin/pip" install -q --disable-pip-version-check \
    lxml genshi Cheetah3 'jinja2<3' 'PyYAML<6' pyinotify 'python-daemon<2' lockfile argparse Bcfg2==1.3.4
fi
