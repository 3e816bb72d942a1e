import { accessSync, constants, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { CofferError, systemErrorCode } from '../errors.ts'

/** Where everything of one installation's boxes lies. Directories are 0700; nothing is written outside. */
export type Home = {
  readonly path: string
  readonly database: string
  readonly boxes: string
  readonly images: string
  readonly templates: string
  readonly disks: string
  readonly locks: string
  readonly temporary: string
}

/** `COFFER_HOME`, else `~/.coffer`. */
export function defaultHomePath(): string {
  return process.env['COFFER_HOME'] || join(homedir(), '.coffer')
}

/**
 * Creates what is missing of a home and checks the rest.
 * Throws `permission_denied` when it belongs to somebody else, `storage_error` when it cannot be written.
 */
export function openHome(path: string = defaultHomePath()): Home {
  const root = resolve(path)
  const home: Home = {
    path: root,
    database: join(root, 'coffer.db'),
    boxes: join(root, 'boxes'),
    images: join(root, 'images'),
    templates: join(root, 'templates'),
    disks: join(root, 'disks'),
    locks: join(root, 'locks'),
    temporary: join(root, 'tmp'),
  }
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 })
    checkOwner(root)
    for (const directory of [home.boxes, home.images, home.templates, home.disks, home.locks, home.temporary])
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    accessSync(root, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw homeError(root, error)
  }
  return home
}

/** Removes what processes that are gone left in `tmp/`: entries there are named after the process that made them. */
export function sweepTemporary(home: Home, isAlive: (pid: number) => boolean): void {
  for (const name of readdirSync(home.temporary)) {
    const pid = Number.parseInt(name, 10)
    if (!Number.isInteger(pid) || !isAlive(pid))
      rmSync(join(home.temporary, name), { recursive: true, force: true })
  }
}

/** A path in `tmp/` nobody else uses, on the same file system as everything it may be renamed to. */
export function temporaryPath(home: Home, purpose: string): string {
  sequence += 1
  return join(home.temporary, `${process.pid}-${sequence}-${purpose}`)
}

let sequence = 0

function checkOwner(root: string): void {
  const owner = statSync(root).uid
  const user = process.getuid?.() ?? owner
  if (owner === user) return
  throw new CofferError(
    'permission_denied',
    `cannot use home ${root}: it belongs to user ${owner}, not to user ${user}`,
    {
      hint: 'Name a directory of your own with --home or COFFER_HOME.',
      details: { home: root, owner, user },
    },
  )
}

function homeError(root: string, error: unknown): CofferError {
  if (error instanceof CofferError) return error
  const code = systemErrorCode(error)
  const denied = code === 'EACCES' || code === 'EPERM'
  const reason = code === 'EROFS' ? 'its file system is read-only' : (code ?? String(error))
  return new CofferError(
    denied ? 'permission_denied' : 'storage_error',
    `cannot use home ${root}: ${reason}`,
    {
      hint: 'Name a directory that you can write with --home or COFFER_HOME.',
      cause: error,
      details: { home: root },
    },
  )
}
