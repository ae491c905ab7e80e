#!/bin/sh
# Drop-ins of systemd for the bcfg2.conf and repository that another server has used: Bcfg2's, which is root and writes anywhere.
#
#   sh existing-site.sh write    writes those that are needed and not there, and prints their names:
#                                  root.conf   the server starts as root, because the repository is not _bcfg2's
#                                  paths.conf  what bcfg2.conf has the server write elsewhere than below /var/lib/bcfg2, /var/log/bcfg2
#                                Folders that have drop-ins stay as they are, but for what was set aside.
#   sh existing-site.sh aside    renames them, so that they do not bind units of these names that belong to Bcfg2's server
#   sh existing-site.sh restore  puts back what was set aside
#   sh existing-site.sh purge    deletes them
#
# Then: systemctl daemon-reload. SITE_ROOT is for tests: a folder in place of /.
set -eu
top=${SITE_ROOT:-}
units="bcfg2-server bcfg2-report-collector bcfg2-packages"
here=$(cd "$(dirname "$0")" && pwd)
first_of_paths="# What bcfg2.conf has the server write elsewhere than below /var/lib/bcfg2 and /var/log/bcfg2."

# The value of an option of bcfg2.conf: SECTION OPTION.
option() {
  [ -r "$top/etc/bcfg2.conf" ] || return 0
  awk -v section="[$1]" -v name="$2" '/^\[/ { now = $1 }
    now == section && tolower($0) ~ "^" name "[ \t]*[=:]" {
      sub(/^[^=:]*[=:][ \t]*/, ""); sub(/[ \t]+;.*/, ""); sub(/[ \t\r]+$/, ""); value = $0
    }
    END { print value }' "$top/etc/bcfg2.conf"
}

# A folder that the server writes, unless the units allow it already.
add() {
  case $1 in
    /var/lib/bcfg2 | /var/lib/bcfg2/* | /var/log/bcfg2 | /var/log/bcfg2/*) return 0 ;;
    / | *[!A-Za-z0-9/._+@:-]* | *//* | */../* | */..)
      echo "existing-site: write a drop-in with ReadWritePaths= for '$1' yourself (systemd.exec(5))" >&2
      return 0
      ;;
    /home/* | /root | /root/* | /run/user/*) homes=yes ;;
    /tmp | /tmp/* | /var/tmp | /var/tmp/*) temporary=yes ;;
    /*) ;;
    *) return 0 ;;
  esac
  case "$folders " in *"=-$1 "*) ;; *) folders="$folders ReadWritePaths=-$1" ;; esac
}

restore() {
  for name in $units; do
    folder=$top/etc/systemd/system/$name.service.d
    for file in root.conf paths.conf; do
      if [ -e "$folder/$file.aside" ] && [ ! -e "$folder/$file" ]; then
        mv "$folder/$file.aside" "$folder/$file"
        echo "${folder#"$top"}/$file"
      fi
    done
  done
}

write() {
  site=$(option server repository)
  site=${site:-/var/lib/bcfg2}
  folders=
  homes=no
  temporary=no
  add "${site%/}"
  log=$(option logging path)
  case $log in /*) add "$(dirname "$log")" ;; esac
  # SQLite makes its journal beside the file.
  for name in name reporting_name; do
    file=$(option database "$name")
    case $file in /*) add "$(dirname "$file")" ;; esac
  done
  add "$(option packages cache)"
  add "$(option server vcs_root)"

  owner=
  if [ -d "$top$site/Metadata" ]; then owner=$(stat -c %U "$top$site/Metadata"); fi
  for name in $units; do
    folder=$top/etc/systemd/system/$name.service.d
    [ ! -d "$folder" ] || continue
    if [ -n "$owner" ] && [ "$owner" != _bcfg2 ]; then
      mkdir -p "$folder"
      install -m 0644 "$here/root.conf" "$folder/root.conf"
      echo "${folder#"$top"}/root.conf"
    fi
    if [ -n "$folders" ]; then
      mkdir -p "$folder"
      {
        echo "$first_of_paths"
        if [ "$name" = bcfg2-packages ] && [ "$site" != /var/lib/bcfg2 ]; then
          printf '[Unit]\nConditionPathExists=\nConditionPathExists=/etc/bcfg2.conf\nConditionPathExists=%s/Packages\n' "${site%/}"
        fi
        echo "[Service]"
        for line in $folders; do echo "$line"; done
        if [ "$homes" = yes ]; then echo "ProtectHome=no"; fi
        if [ "$temporary" = yes ]; then echo "PrivateTmp=no"; fi
      } >"$folder/paths.conf"
      chmod 644 "$folder/paths.conf"
      echo "${folder#"$top"}/paths.conf"
    fi
  done
}

# Renames or deletes what this made: the first line says whose a file is.
withdraw() {
  for name in $units; do
    folder=$top/etc/systemd/system/$name.service.d
    for file in root.conf paths.conf root.conf.aside paths.conf.aside; do
      [ -e "$folder/$file" ] || continue
      case $(head -n 1 "$folder/$file") in "# The server stays root, as Bcfg2's"* | "$first_of_paths") ;; *) continue ;; esac
      case $1:$file in
        purge:*) rm -f "$folder/$file" ;;
        aside:*.conf) mv "$folder/$file" "$folder/$file.aside" ;;
      esac
    done
    if [ -d "$folder" ] && [ "$1" = purge ]; then rmdir --ignore-fail-on-non-empty "$folder"; fi
  done
}

case ${1:-} in
  write) restore && write ;;
  restore) restore ;;
  aside | purge) withdraw "$1" ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '/^set/d' >&2
    exit 2
    ;;
esac
