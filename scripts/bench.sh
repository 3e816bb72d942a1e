#!/bin/sh
# npm run bench [-- NAME…]: sets up what is missing, then runs the named benchmarks of bench/, by default all.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
sh scripts/setup.sh --quiet >&2
PATH=$root/node_modules/.bin:$PATH
export PATH

[ $# -gt 0 ] || set -- start exec stream memory image lifecycle
for name in "$@"; do
  [ -e "bench/$name.ts" ] || { echo "bench: there is no benchmark '$name' (bench/$name.ts)" >&2 && exit 2; }
done
# One after another, as they share the cores that they measure.
for name in "$@"; do node "bench/$name.ts"; done
