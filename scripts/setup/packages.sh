# System packages. What is asked for is decided by commands and files that are there, not by package names, so
# that apt is not touched on a machine where everything is in place, however it came there.

set_up_packages() {
  missing=$(missing_packages)
  if [ -z "$missing" ]; then
    found "system packages are there ($(qemu_version_text))"
    return
  fi
  say "missing system packages:$missing"
  if ! command -v apt-get > /dev/null; then
    fail 'cannot install packages: this is no Debian or Ubuntu, there is no apt-get' \
      "install, by this system's own means, what these Debian packages contain:$missing"
  fi
  command=$(install_command "$missing")
  run_as_administrator "$command"
  missing=$(missing_packages)
  [ -z "$missing" ] || fail "still missing after the installation:$missing" "$(explain_missing "$missing")"
  say "installed ($(qemu_version_text))"
}

missing_packages() {
  qemu_is_new_enough || printf ' qemu-system-x86'
  want bwrap bubblewrap
  want mke2fs e2fsprogs
  has_static_busybox || printf ' busybox-static'
  want gcc gcc
  # The agent is linked statically: the archive, not only the headers.
  has_static_libc || printf ' libc6-dev'
  want make make
  want xz xz-utils
  want flock util-linux
  [ -e /etc/ssl/certs/ca-certificates.crt ] || printf ' ca-certificates'
  want npm npm
  if $with_tests; then
    want fsck.erofs erofs-utils
    want mkfs.erofs erofs-utils
    want setfattr attr
    want cpio cpio
    want qemu-img qemu-utils
    want podman podman
    want ps procps
    want docker-registry docker-registry
    want skopeo skopeo
    want umoci umoci
    want debootstrap debootstrap
    want htpasswd apache2-utils
    want openssl openssl
    want setpriv util-linux
    want runuser util-linux
    want script bsdutils
    want useradd passwd
  fi
}

want() { command -v "$1" > /dev/null 2>&1 || printf ' %s' "$2"; }

# Restoring a template whose memory file is read-only needs `rom=off` of memory-backend-file, new in 8.2.
qemu_is_new_enough() {
  qemu_version=$(qemu-system-x86_64 --version 2> /dev/null | sed -n 's/^QEMU emulator version \([0-9]*\.[0-9]*\).*/\1/p')
  [ -n "$qemu_version" ] || return 1
  [ "${qemu_version%.*}" -gt 8 ] || { [ "${qemu_version%.*}" -eq 8 ] && [ "${qemu_version#*.}" -ge 2 ]; }
}

qemu_version_text() { qemu-system-x86_64 --version 2> /dev/null | sed -n '1s/ *(.*//p'; }

has_static_busybox() {
  busybox_path=$(command -v busybox) || return 1
  LC_ALL=C ldd "$busybox_path" 2>&1 | grep -q -e 'not a dynamic executable' -e 'statically linked'
}

has_static_libc() {
  [ -e /usr/include/stdio.h ] || return 1
  for archive in /usr/lib/x86_64-linux-gnu/libc.a /usr/lib/libc.a /usr/lib64/libc.a; do
    [ ! -e "$archive" ] || return 0
  done
  return 1
}

# The one command line that root runs here, sudo runs, or an administrator is asked to run: always the same.
# `install` marks what is named as wanted by hand, so a later autoremove leaves it.
install_command() {
  install='DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300'
  # shellcheck disable=SC2086
  packages=$(printf '%s\n' $1 | sort -u | paste -sd ' ')
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2> /dev/null)
  case "$codename $packages" in
    'bookworm '*qemu-system-x86*)
      # Bookworm's own QEMU is 7.2. Backports have a low priority by themselves: only packages taken from there
      # are upgraded from there, so the source stays, and nothing else on the machine changes.
      packages=$(printf '%s' "$packages" | sed 's/ *qemu-system-x86//; s/^ *//')
      add_backports
      printf 'apt-get update -q'
      [ -z "$packages" ] || printf ' && %s %s' "$install" "$packages"
      printf ' && %s -t bookworm-backports qemu-system-x86' "$install"
      ;;
    *) printf 'apt-get update -q && %s %s' "$install" "$packages" ;;
  esac
}

add_backports() {
  sources=$(apt_sources)
  case $sources in *' bookworm-backports '*) return ;; esac
  main=$(printf '%s\n' "$sources" | awk '$3 == "bookworm" && / main( |$)/ { print; exit }')
  [ -n "$main" ] || fail 'cannot find the mirror of Debian bookworm in the configuration of apt' \
    'add a source for bookworm-backports, then run this again'
  printf '%s\n' "$main" | awk '{
    option = $1 == "-" ? "" : "[signed-by=" $1 "] "
    printf "echo \"deb %s%s bookworm-backports main\" > /etc/apt/sources.list.d/coffer-backports.list && ", option, $2
  }'
}

# One line for each suite that apt knows: `KEYRING|- URI SUITE COMPONENTS… `. Read from the files because
# `apt-get indextargets` says nothing before the first update.
apt_sources() {
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -r "$file" ] || sed -n 's/^deb[[:space:]]\{1,\}//p' "$file" | awk '{
      key = "-"
      if (match($0, /^\[[^]]*\]/)) {
        options = substr($0, 2, RLENGTH - 2)
        $0 = substr($0, RLENGTH + 1)
        if (match(options, /signed-by=[^ ]*/)) key = substr(options, RSTART + 10, RLENGTH - 10)
      }
      uri = $1; suite = $2; $1 = $2 = ""
      print key, uri, suite, $0, ""
    }'
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -r "$file" ] || awk 'BEGIN { RS = ""; FS = "\n" } {
      key = "-"; uris = suites = components = ""; enabled = 1
      for (i = 1; i <= NF; i++) {
        colon = index($i, ":")
        if ($i ~ /^#/ || colon == 0) continue
        name = tolower(substr($i, 1, colon - 1)); value = substr($i, colon + 1); sub(/^ +/, "", value)
        if (name == "uris") uris = value
        if (name == "suites") suites = value
        if (name == "components") components = value
        if (name == "signed-by" && value ~ /^\//) key = value
        if (name == "enabled" && tolower(value) == "no") enabled = 0
      }
      if (!enabled) next
      count = split(suites, each, " "); split(uris, uri, " ")
      for (i = 1; i <= count; i++) print key, uri[1], each[i], components, ""
    }' "$file"
  done
}

run_as_administrator() {
  if [ "$(id -u)" -eq 0 ]; then
    say "running: $1"
    # The lists of packages have a lock for which apt does not wait: set-ups of several directories take turns.
    exec 8< /var/lib/apt
    flock 8
    sh -c "$1" 8<&- || fail 'the installation failed; the lines above say why'
    exec 8<&-
  elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then
    say "running with sudo: $1"
    sudo -n sh -c "$1" || fail 'the installation failed; the lines above say why'
  else
    fail 'an administrator must run this one command line, then run this again:' "$(as_root_command "$1")"
  fi
}

as_root_command() {
  if command -v sudo > /dev/null; then
    printf "sudo sh -c '%s'" "$1"
  else
    printf "su -c '%s'" "$1"
  fi
}

explain_missing() {
  case $1 in
    *qemu-system-x86*) echo "QEMU 8.2 or newer is needed; this system offers $(qemu_version_text || true)" ;;
    *) echo 'the packages were installed, but their commands are not in PATH' ;;
  esac
}
