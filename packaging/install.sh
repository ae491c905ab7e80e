#!/bin/sh
# Installs a release build as packages contain it.
#
#   packaging/install.sh BUILD ROOT
#
# BUILD is the folder of the programs, such as .build/release. ROOT is a folder below which everything goes; programs are stripped,
# their debug information is below usr/lib/debug. Environment, for what differs between systems:
#   UNITS     folder of units            (usr/lib/systemd/system)
#   ZSH       folder of zsh's functions  (usr/share/zsh/site-functions)
#   DEFAULTS  folder of start options    (none: no such files)
#   SYSV      folder of init scripts     (none)
#   PREPARED  folder for stripped programs and manual pages, which a second installation takes from there
#   LIBSYSTEMD  yes: also sysusers.d, tmpfiles.d and logrotate.d; Debian's helpers install these themselves
set -eu
build=$(cd "$1" && pwd)
mkdir -p "$2"
root=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
umask 022
units=$root/${UNITS:-usr/lib/systemd/system}

# Programs without debug information, what is said about them; made once if PREPARED names a folder for them.
prepared=${PREPARED:-}
if [ -z "$prepared" ]; then
  prepared=$(mktemp -d)
  trap 'rm -rf "$prepared"' EXIT
fi
if [ ! -d "$prepared/man" ]; then
  programs=
  for program in admin crypt info lint packages report-collector reports server test web; do
    [ -x "$build/bcfg2-$program" ] || { echo "install: no $build/bcfg2-$program: build it first" >&2; exit 1; }
    programs="$programs $build/bcfg2-$program"
  done
  mkdir -p "$prepared/sbin" "$prepared/debug"
  # shellcheck disable=SC2086
  packaging/strip.py $programs --into "$prepared/sbin" --debug "$prepared/debug"
  scripts/manuals.py "$prepared/sbin" "$prepared"
  # bcfg2.conf(5) of Bcfg2's client may be there, too: this one's section has a suffix, `man bcfg2.conf` finds both.
  sed '1s/"5"/"5swift"/' "$prepared/man/man5/bcfg2.conf.5" >"$prepared/man/man5/bcfg2.conf.5swift"
  rm "$prepared/man/man5/bcfg2.conf.5"
  gzip -9n "$prepared"/man/man?/*
  # Completions are read, not run.
  sed -i '1{/^#!/d}' "$prepared"/completions/bash/*
fi

copy() { # FOLDER FILE...
  folder=$1
  shift
  mkdir -p "$folder"
  install -m 0644 "$@" "$folder/"
}
copy "$root/usr/share/man/man5" "$prepared"/man/man5/*
copy "$root/usr/share/man/man8" "$prepared"/man/man8/*
mkdir -p "$root/usr/sbin" "$root/usr/lib"
cp -R "$prepared/sbin/." "$root/usr/sbin/"
cp -R "$prepared/debug" "$root/usr/lib/debug"
copy "$root/usr/share/bash-completion/completions" "$prepared"/completions/bash/*
copy "$root/${ZSH:-usr/share/zsh/site-functions}" "$prepared"/completions/zsh/*
copy "$root/usr/share/fish/vendor_completions.d" "$prepared"/completions/fish/*
copy "$root/usr/share/bcfg2-swift/schemas" schemas/*.xsd

copy "$units" packaging/systemd/*.service packaging/systemd/*.timer packaging/systemd/*.socket
copy "$root/usr/share/bcfg2-swift/systemd" packaging/systemd/examples/*
copy "$root/usr/share/bcfg2-swift/default" packaging/default/*
if [ -n "${DEFAULTS:-}" ]; then copy "$root/$DEFAULTS" packaging/default/*; fi
if [ -n "${SYSV:-}" ]; then
  for script in packaging/sysv/*.init; do
    install -D -m 0755 "$script" "$root/$SYSV/$(basename "$script" .init)"
  done
fi
if [ "${LIBSYSTEMD:-}" = yes ]; then
  for file in packaging/systemd/*.sysusers; do
    install -D -m 0644 "$file" "$root/usr/lib/sysusers.d/$(basename "$file" .sysusers).conf"
  done
  for file in packaging/systemd/*.tmpfiles; do
    install -D -m 0644 "$file" "$root/usr/lib/tmpfiles.d/$(basename "$file" .tmpfiles).conf"
  done
  for file in packaging/logrotate/*; do
    install -D -m 0644 "$file" "$root/etc/logrotate.d/$(basename "$file")"
  done
fi
