# The packages of package-lock.json, among them the pinned Node itself.

pinned_node=$root/node_modules/node/bin/node

set_up_node() {
  # A package installed by npm brings no lock file, and its dependencies are there already.
  [ -e package-lock.json ] || return 0
  if npm_packages_are_current && runs_typescript "$pinned_node"; then
    found "npm packages are there (Node $("$pinned_node" -p process.versions.node))"
    return
  fi
  if runs_typescript "$pinned_node"; then
    # npm ci removes node_modules, and with it the Node that runs it: it runs from another name of the same file.
    mkdir "$stage/node"
    ln "$pinned_node" "$stage/node/node" 2> /dev/null || cp "$pinned_node" "$stage/node/node"
    install_npm_packages "$stage/node"
  else
    install_npm_packages
    complete_pinned_node
    # npm leaves out, without a word, optional packages whose `engines` exclude the Node that runs it.
    left_out=$("$pinned_node" scripts/setup/left-out.ts)
    if [ -n "$left_out" ]; then
      say "left out by npm under the system's Node: $left_out"
      mkdir "$stage/node"
      ln "$pinned_node" "$stage/node/node" 2> /dev/null || cp "$pinned_node" "$stage/node/node"
      install_npm_packages "$stage/node"
    fi
  fi
  complete_pinned_node
  # Restored from a cache, the file can be older than the lock file although it is right.
  touch node_modules/.package-lock.json
}

# npm writes its own copy of the lock file last, and removes it when it starts to change the packages.
npm_packages_are_current() {
  [ -e node_modules/.package-lock.json ] && ! [ package-lock.json -nt node_modules/.package-lock.json ]
}

install_npm_packages() {
  say "npm ci, under Node $(PATH=${1:+$1:}$PATH node -p process.versions.node)"
  PATH=${1:+$1:}$PATH npm ci --no-audit --no-fund --no-update-notifier --loglevel=error 9>&- ||
    fail 'npm ci failed; the lines above say why'
}

# The binary comes from an install script of the package `node`, which newer versions of npm may refuse to run.
complete_pinned_node() {
  runs_typescript "$pinned_node" && return
  say "fetching the pinned Node, which npm's install scripts did not"
  (cd node_modules/node && node installArchSpecificPackage.js) 9>&- || true
  runs_typescript "$pinned_node" || fail "the pinned Node does not run: $pinned_node" \
    'remove node_modules and run this again; if that does not help, use a Node of 22.18 or newer and report it'
}

runs_typescript() {
  [ -x "$1" ] && "$1" -e 'const [major, minor] = process.versions.node.split(".").map(Number)
    process.exit(major > 22 || (major === 22 && minor >= 18) ? 0 : 1)' 2> /dev/null
}
