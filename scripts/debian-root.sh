#!/bin/sh
# Makes a small Debian as a tar file, for tests that install packages in it. Does nothing if the file is there.
#
#   scripts/debian-root.sh FILE FOLDER PACKAGE...
#
# FOLDER has .deb files: what they depend on comes along with the PACKAGEs, so that nothing is fetched later. BCFG2_DEBIAN_MIRROR
# names the mirror. Exit status 3: no root, no debootstrap, or no answer of the mirror.
set -eu
file=${1:?FILE} debs=${2:?FOLDER}
shift 2
[ ! -e "$file" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "debian-root: chroot needs root" >&2
  exit 3
fi
command -v debootstrap >/dev/null || { echo "debian-root: no debootstrap; scripts/setup.sh --test installs it" >&2; exit 3; }
suite=bookworm
mirror=${BCFG2_DEBIAN_MIRROR:-http://deb.debian.org/debian}
depends=$(for deb in "$debs"/*.deb; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' | sed 's/[|(].*//; s/ //g' |
  grep -vE '^(bcfg2.*|systemd.*|)$' | sort -u | tr '\n' ',')
folder=$(mktemp -d)
trap 'rm -rf --one-file-system "$folder"' EXIT
debootstrap --variant=minbase --include="$depends$(echo "$*" | tr ' ' ',')" "$suite" "$folder/new" "$mirror" >"$folder/log" 2>&1 || {
  tail -n 20 "$folder/log" >&2
  echo "debian-root: no Debian from $mirror" >&2
  exit 3
}
rm -rf "$folder"/new/var/cache/apt/archives/*.deb
tar -C "$folder/new" -cf "$file.new" .
mv "$file.new" "$file"
