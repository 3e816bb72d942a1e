#!/usr/bin/env -S node --
// The `--` above: without it Node takes an `--env-file` anywhere on the command line for its own.
//
// The launcher. Plain JavaScript that an old Node can parse, because it is the one to say that it is too old.
import { spawn } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = resolve(fileURLToPath(import.meta.url), '../..')
const pinnedNode = join(root, 'node_modules/node/bin/node')

if (isNewEnough(process.versions.node)) {
  await launch()
} else {
  relaunch()
}

async function launch() {
  hideExperimentalWarnings()
  useCompileCache()
  const { main } = await import(pathToFileURL(entry()).href)
  // Exits at once: a terminal or a pipe on stdin that was read would keep the process for ever.
  process.exit(await main(process.argv.slice(2)))
}

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > 22 || (major === 22 && minor >= 18)
}

function relaunch() {
  if (!existsSync(pinnedNode) || realpathSync(pinnedNode) === realpathSync(process.execPath)) {
    explain()
    return
  }
  const child = spawn(pinnedNode, ['--', ...process.argv.slice(1)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP']) {
    // What is typed on a terminal reaches the child by itself, and twice would mean lost patience.
    const typed = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT')
    process.on(signal, () => typed || child.kill(signal))
  }
  child.on('error', explain)
  child.on('exit', (code, signal) => {
    process.removeAllListeners(signal)
    if (signal) process.kill(process.pid, signal)
    process.exitCode = code === null ? 125 : code
  })
}

function explain() {
  console.error(`coffer: Node ${process.versions.node} is too old: 22.18 or newer is needed`)
  console.error(
    existsSync(join(root, 'package-lock.json'))
      ? `  hint: run \`sh ${join(root, 'scripts/setup.sh')}\`, which installs the right one beside the checkout`
      : '  hint: install Node 24 LTS, for example with `npm install --global node@24`',
  )
  process.exitCode = 125
}

/** The compiled program, unless a checkout's sources have changed since: then those, by type stripping. */
function entry() {
  const compiled = join(root, 'dist/cli/main.js')
  const source = join(root, 'src')
  if (!existsSync(join(source, 'cli/main.ts'))) return compiled
  const builtAt = mtimeMs(join(root, 'dist/.built'))
  return existsSync(compiled) && !isNewer(source, builtAt) ? compiled : join(source, 'cli/main.ts')
}

function isNewer(directory, thanMs) {
  if (mtimeMs(directory) > thanMs) return true
  return readdirSync(directory, { withFileTypes: true }).some(entry => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return isNewer(path, thanMs)
    return !entry.name.endsWith('.test.ts') && mtimeMs(path) > thanMs
  })
}

function mtimeMs(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat ? stat.mtimeMs : Number.NEGATIVE_INFINITY
}

// Node runs what it finds in the cache, so the cache lies where nobody else can write: in a home that is there
// already and is ours alone. The launcher never makes a home: that is for the command to do, or not.
function useCompileCache() {
  try {
    const home = lstatSync(cofferHome())
    // A word `--home` may belong to the command in the box: only what is a home already is written to.
    if (!existsSync(join(cofferHome(), 'coffer.db'))) return
    if (!home.isDirectory() || home.uid !== process.getuid() || (home.mode & 0o022) !== 0) return
    const cache = join(cofferHome(), 'cache')
    mkdirSync(cache, { recursive: true, mode: 0o700 })
    const stat = lstatSync(cache)
    if (stat.isDirectory() && stat.uid === process.getuid() && (stat.mode & 0o022) === 0) {
      nodeModule.enableCompileCache(cache)
    }
  } catch {
    // A start without the cache is only slower.
  }
}

// `--home` is read before the command line is parsed, so that nothing is written into another home.
function cofferHome() {
  const words = process.argv.slice(2)
  for (let index = 0; index < words.length && words[index] !== '--'; index++) {
    if (words[index].startsWith('--home=')) return words[index].slice('--home='.length)
    if (words[index] === '--home' && words[index + 1]) return words[index + 1]
  }
  return process.env.COFFER_HOME || join(homedir(), '.coffer')
}

// Node 22 announces type stripping and node:sqlite on stderr, which belongs to the command that runs in the box.
function hideExperimentalWarnings() {
  const emitWarning = process.emitWarning
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === 'object' && rest[0] !== null ? rest[0].type : rest[0]
    if (type !== 'ExperimentalWarning' || process.argv.includes('--debug')) {
      emitWarning.call(process, warning, ...rest)
    }
  }
}
