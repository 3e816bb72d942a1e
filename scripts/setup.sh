#!/bin/sh
# Makes a checkout, or an installed package, able to run boxes. Safe to repeat: what is there is left alone.
#
#   scripts/setup.sh [--quiet] [--with-tests]
#
#   --quiet       print only what is done, not what is found in order
#   --with-tests  also install what only the test suite needs
#
# COFFER_BUILD_DIR  where the guest's parts go; default `build` in the package root
set -eu
# What is made here is for every user of this directory, whoever sets it up.
umask 022

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

quiet=false
with_tests=false
for argument in "$@"; do
  case $argument in
    --quiet) quiet=true ;;
    --with-tests) with_tests=true ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0" && exit 0 ;;
    *) echo "setup: unknown option '$argument' (see --help)" >&2 && exit 2 ;;
  esac
done

# An ordinary user's PATH often lacks the directories where mke2fs and useradd live.
PATH=$PATH:/usr/sbin:/sbin
export PATH

build=${COFFER_BUILD_DIR:-build}
case $build in /*) ;; *) build=$root/$build ;; esac
stage=

say() { echo "setup: $*"; }
found() { $quiet || say "$*"; }
fail() {
  echo "setup: $1" >&2
  shift
  for line in "$@"; do echo "  $line" >&2; done
  exit 1
}

cleanup() { [ -z "$stage" ] || rm -rf "$stage"; }
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

. scripts/setup/packages.sh
. scripts/setup/node.sh
. scripts/setup/kernel.sh
. scripts/setup/parts.sh

mkdir -p "$build" 2> /dev/null || fail "cannot create $build" "set COFFER_BUILD_DIR to a directory that you may write"
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "Coffer needs Linux on x86_64; this is $(uname -s) on $(uname -m)"

set_up_packages

if [ ! -w "$build" ]; then
  # Somebody else's directory, for instance a package that root installed: used as it is, if it is complete.
  for part in kernel/vmlinuz kernel/release kernel/modules coffer-agent busybox; do
    [ -r "$build/$part" ] || fail "$build/$part is missing, and $build is not yours to write" \
      "its owner must run: sh $root/scripts/setup.sh" 'or set COFFER_BUILD_DIR to a directory of your own'
  done
  found 'everything is there'
  exit 0
fi

# Everything below writes into the package root: one set-up at a time. The lock goes with the process.
exec 9>"$build/.setup.lock"
if ! flock -n 9; then
  say 'waiting for another set-up of this directory'
  flock 9
fi
# Left behind by a set-up that was killed; whoever made it held the lock that is held here.
rm -rf "$build"/.stage-*
stage=$build/.stage-$$
mkdir "$stage"

set_up_node
set_up_kernel
set_up_agent
set_up_busybox
set_up_dist
found 'everything is there'
