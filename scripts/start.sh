#!/bin/sh
# npm start: sets up what is missing, then shows a box at work; with arguments, runs that command line of coffer.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# On stderr, because the output of a command line given here belongs to that command alone.
sh "$root/scripts/setup.sh" --quiet >&2
PATH=$root/node_modules/.bin:$PATH
export PATH
if [ $# -eq 0 ]; then
  exec node "$root/examples/first-box.ts"
fi
# The first `--`: see the top of coffer.js.
exec node -- "$root/bin/coffer.js" "$@"
