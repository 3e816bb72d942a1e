import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { systemErrorCode } from '../errors.ts'
import { syncDirectory, syncFile, writeFileAtomic } from '../state/atomic-file.ts'
import { namesIn, treeBytes } from '../state/disk-bytes.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { acquireLock } from '../state/lock.ts'
import { deviceFile, pagesFile, type Template, type TemplateOptions } from './template-files.ts'

export type TemplateRequest = {
  readonly home: Home
  /** A hash of everything the template depends on. */
  readonly key: string
  /** The image whose file systems are mounted in it: without that file it is of no use. */
  readonly image?: string | undefined
  readonly options: TemplateOptions
}

/**
 * The template of a key, made now by `build` in the directory it is given, if there is none that is whole. Several processes may ask at
 * once: one builds, the others wait for it.
 */
export async function ensureStored(
  request: TemplateRequest,
  build: (staging: string) => Promise<void>,
): Promise<Template> {
  const { home, key, image, options } = request
  const template = { key, directory: join(home.templates, key) }
  if (!isWhole(template)) {
    // One of 256 lock files: one for each key would stay for ever.
    using _lock = await acquireLock(join(home.locks, `template-${key.slice(0, 2)}`), {
      signal: options.signal,
      onWait: () => options.onProgress?.({ step: 'waiting for another process that prepares a template' }),
    })
    if (!isWhole(template)) await store(request, template, build)
  }
  if (image !== undefined) touch(template)
  return template
}

/** Removes templates whose image is gone. Returns the bytes that this freed. */
export function dropStrayTemplates(home: Home): number {
  return drop(
    home,
    mountedTemplates(home).filter(({ image }) => !existsSync(image)),
  )
}

/** Identity of a file's content without reading it. */
export function fingerprint(path: string): string {
  const real = realpathSync(path)
  return `${real}:${timeOf(real)}`
}

export function keyOf(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24)
}

async function store(
  { home, key, image, options }: TemplateRequest,
  template: Template,
  build: (staging: string) => Promise<void>,
): Promise<void> {
  const staging = temporaryPath(home, `template-${key}`)
  try {
    // 1. Whatever stands in the place is torn or foreign.
    rmSync(template.directory, { recursive: true, force: true })
    if (image !== undefined) makeRoom(home)
    mkdirSync(staging, { mode: 0o700 })
    // 2. The machine.
    await build(staging)
    // 3. The manifest comes last and makes it whole.
    options.onProgress?.({ step: 'writing the template to disk' })
    for (const name of readdirSync(staging)) syncFile(join(staging, name))
    const manifest: Manifest = { key, image, files: identify(staging) }
    writeFileAtomic(join(staging, manifestFile), JSON.stringify(manifest), { durable: true })
    renameSync(staging, template.directory)
    syncDirectory(home.templates)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

const manifestFile = 'template.json'

type Manifest = {
  readonly key: string
  readonly image: string | undefined
  /** What identifies the content of each file, by its name. */
  readonly files: Readonly<Record<string, string>>
}

function isWhole({ key, directory }: Template): boolean {
  const manifest = readManifest(directory)
  if (manifest?.key !== key) return false
  try {
    return isDeepStrictEqual(manifest.files, identify(directory))
  } catch {
    // A file is unreadable, or was removed meanwhile: not whole, for whatever reason.
    return false
  }
}

/** Undefined when there is none, or no readable one. */
function readManifest(directory: string): Partial<Manifest> | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, manifestFile), 'utf8')) ?? undefined
  } catch {
    return undefined
  }
}

/** Hashing the memory would cost more than the restore: nothing but the build writes it, so its time tells. Likewise the disk. */
const hashed: ReadonlySet<string> = new Set([deviceFile, pagesFile])

function identify(directory: string): Record<string, string> {
  const names = namesIn(directory).filter(name => name !== manifestFile)
  return Object.fromEntries(
    names.map(name => {
      const path = join(directory, name)
      return [name, hashed.has(name) ? hashOf(path) : timeOf(path)]
    }),
  )
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

function timeOf(path: string): string {
  const { size, mtimeNs } = statSync(path, { bigint: true })
  return `${size}:${mtimeNs}`
}

/** Of templates with an image's file systems mounted, those last used stay. A boot template is needed for every restart of its boxes. */
const mostMounted = 16
/** A start that has found its template is done with the file's name after this long. */
const inUseMs = 60_000

type MountedTemplate = { readonly directory: string; readonly image: string; readonly usedAtMs: number }

function makeRoom(home: Home): void {
  dropStrayTemplates(home)
  const byUse = mountedTemplates(home).sort((a, b) => b.usedAtMs - a.usedAtMs)
  drop(
    home,
    byUse.slice(mostMounted - 1).filter(({ usedAtMs }) => Date.now() - usedAtMs > inUseMs),
  )
}

function mountedTemplates(home: Home): MountedTemplate[] {
  return readdirSync(home.templates).flatMap(name => {
    const directory = join(home.templates, name)
    const image = readManifest(directory)?.image
    const used = statSync(join(directory, manifestFile), { throwIfNoEntry: false })
    return typeof image === 'string' && used !== undefined
      ? [{ directory, image, usedAtMs: used.mtimeMs }]
      : []
  })
}

/** Each at once, so that nobody finds half of one, or makes it again under hands that still remove it. */
function drop(home: Home, templates: readonly MountedTemplate[]): number {
  let freedBytes = 0
  for (const { directory } of templates) {
    const removed = temporaryPath(home, 'template')
    try {
      renameSync(directory, removed)
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') continue
      throw error
    }
    freedBytes += treeBytes(removed)
    rmSync(removed, { recursive: true, force: true })
  }
  return freedBytes
}

/** The time of its last use is the manifest's. */
function touch({ directory }: Template): void {
  const now = new Date()
  try {
    utimesSync(join(directory, manifestFile), now, now)
  } catch (error) {
    // Another process has removed it, which the start finds out.
    if (systemErrorCode(error) !== 'ENOENT') throw error
  }
}
