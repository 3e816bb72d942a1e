import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { acquireLock } from '../../src/state/lock.ts'

/** An OCI layout directory and the tag in it. */
export type LayoutImage = { readonly layoutDirectory: string; readonly tag: string }

const suite = 'bookworm'
const mirror = 'http://deb.debian.org/debian'
// With the compiler: 350 MB in 9,000 files, about what an image people use weighs.
const packages = ['python3', 'gcc']
/** Raised when the recipe below changes. */
const revision = 1

const cache = join(import.meta.dirname, '..', '..', 'build', 'test-cache')
const key = createHash('sha256')
  .update(JSON.stringify([suite, packages, revision]))
  .digest('hex')
  .slice(0, 12)
const directory = join(cache, `debian-image-${key}`)
const run = promisify(execFile)

/** Why `debianImage` cannot give the image here, for a test to skip with; undefined if it can, network provided. */
export function debianImageUnavailable(): string | undefined {
  if (existsSync(directory)) return undefined
  if (process.getuid?.() !== 0) return 'the Debian image is not built yet, and debootstrap needs root'
  const missing = ['debootstrap', 'umoci'].filter(command => !isInstalled(command))
  return missing.length === 0
    ? undefined
    : `the Debian image is not built yet, and needs ${missing.join(', ')}`
}

/**
 * A Debian image of one gzip layer with python3 in it, by debootstrap: built once, which takes a minute and Debian's mirror,
 * and kept in `build/test-cache/`. Read only: what changes it copies it first.
 */
export async function debianImage(): Promise<LayoutImage> {
  mkdirSync(cache, { recursive: true })
  using _lock = await acquireLock(join(cache, 'debian-image.lock'))
  if (!existsSync(directory)) await build()
  return { layoutDirectory: join(directory, 'layout'), tag: 'debian' }
}

async function build(): Promise<void> {
  const staging = `${directory}.stage`
  const root = join(staging, 'root')
  const layout = join(staging, 'layout')
  rmSync(staging, { recursive: true, force: true })
  mkdirSync(staging)
  try {
    await run('debootstrap', ['--variant=minbase', `--include=${packages.join(',')}`, suite, root, mirror], {
      maxBuffer: 64 * 1024 * 1024,
    })
    for (const path of ['var/cache/apt/archives', 'var/lib/apt/lists'])
      rmSync(join(root, path), { recursive: true })
    await run('umoci', ['init', '--layout', layout])
    await run('umoci', ['new', '--image', `${layout}:debian`])
    await run('umoci', ['insert', '--image', `${layout}:debian`, root, '/'])
    await run('umoci', ['config', '--image', `${layout}:debian`, '--config.cmd', '/bin/bash', ...environment])
    rmSync(root, { recursive: true })
    renameSync(staging, directory)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

const environment = ['--config.env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']

function isInstalled(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
