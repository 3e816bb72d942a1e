#!/bin/sh
# npm test: sets up what is missing, then checks and runs everything. Arguments are files or globs of tests:
# with them only those tests run.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

part() {
  title=$1
  shift
  echo "test: $title"
  "$@" || {
    status=$?
    echo "test: stopped: $title failed (exit code $status); the tests after it were not run" >&2
    exit "$status"
  }
}

part 'set-up' sh scripts/setup.sh --quiet --with-tests
PATH=$root/node_modules/.bin:$PATH
export PATH

if [ $# -eq 0 ]; then
  part 'guest agent' make -s -C agent test
  part 'protocol header' node scripts/protocol-header.ts --check
  part 'types' tsc -p tsconfig.json
  part 'lint and format' biome check
  set -- 'src/**/*.test.ts' 'test/**/*.test.ts'
fi

echo 'test: suite'
# One file at a time: each boots virtual machines and would starve the other's deadlines.
exec node --test --test-concurrency=1 --test-reporter=spec "$@"
