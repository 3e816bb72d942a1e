# The parts that are made or copied on this machine: guest agent, busybox, the compiled library.

set_up_agent() {
  if [ ! -e agent/Makefile ]; then
    [ -x "$build/coffer-agent" ] || fail 'the sources of the guest agent are missing: agent/Makefile'
    return 0
  fi
  if ! make -s -q -C agent 2> /dev/null; then
    say 'building the guest agent'
    make -s -C agent 9>&- || fail 'the guest agent does not build; the lines above say why'
  fi
  place agent/build/coffer-agent "$build/coffer-agent" 'guest agent'
}

set_up_busybox() { place "$(command -v busybox)" "$build/busybox" 'static busybox'; }

# Copies beside and renames: a box that starts meanwhile sees the old file or the new one.
place() {
  if cmp -s "$1" "$2"; then
    found "$3 is there"
    return
  fi
  cp -L "$1" "$stage/part"
  chmod 0755 "$stage/part"
  mv "$stage/part" "$2"
  say "placed the $3"
}

set_up_dist() {
  [ -e src/index.ts ] && [ -e tsconfig.build.json ] || return 0
  # The directories count too: a file that was removed leaves no other trace.
  if [ -e dist/.built ]; then
    changed=$(find src tsconfig.json tsconfig.build.json package-lock.json ! -name '*.test.ts' -newer dist/.built -print | head -n 1)
    if [ -z "$changed" ]; then
      found 'dist is up to date'
      return
    fi
  fi
  say 'compiling src to dist'
  # Taken before the compiler reads: what changes while it runs is newer, and compiled the next time.
  touch "$stage/built"
  rm -f dist/.built
  if "$pinned_node" node_modules/typescript/bin/tsc -p tsconfig.build.json; then
    mv "$stage/built" dist/.built
  else
    # Everything runs from src as well, so a half-edited checkout can still start and be tested.
    say 'dist is not up to date because src has type errors; src is used as it is'
  fi
}
