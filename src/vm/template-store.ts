import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import { systemErrorCode } from '../errors.ts'
import { syncDirectory, writeFileAtomic } from '../state/atomic-file.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { acquireLock } from '../state/lock.ts'
import { deviceFile, diskFile, memoryFile, type Template, type TemplateOptions } from './template-files.ts'

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
  const { home, key, options } = request
  const template = { key, directory: join(home.templates, key) }
  if (!isWhole(template)) {
    // One of 256 lock files: one for each key would stay for ever.
    using _lock = await acquireLock(join(home.locks, `template-${key.slice(0, 2)}`), {
      signal: options.signal,
      onWait: () => options.onProgress?.({ step: 'waiting for another process that prepares a template' }),
    })
    if (!isWhole(template)) await store(request, template, build)
  }
  touch(template)
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
  const { size, mtimeNs } = statSync(real, { bigint: true })
  return `${real}:${size}:${mtimeNs}`
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
    const manifest: Manifest = { key, image, ...contentOf(staging) }
    writeFileAtomic(join(staging, manifestFile), JSON.stringify(manifest), { durable: true })
    renameSync(staging, template.directory)
    syncDirectory(home.templates)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

const manifestFile = 'template.json'

type Content = {
  readonly memory: string
  readonly deviceSha256: string
  readonly disk: string | undefined
}

type Manifest = Content & { readonly key: string; readonly image: string | undefined }

function isWhole({ key, directory }: Template): boolean {
  const manifest = readManifest(directory)
  if (manifest === undefined) return false
  try {
    const actual = contentOf(directory)
    return (
      manifest.key === key &&
      manifest.memory === actual.memory &&
      manifest.deviceSha256 === actual.deviceSha256 &&
      manifest.disk === actual.disk
    )
  } catch {
    // A file is missing or unreadable: not whole, for whatever reason.
    return false
  }
}

/** Undefined when there is none, or no readable one. */
function readManifest(directory: string): Partial<Manifest> | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, manifestFile), 'utf8'))
  } catch {
    return undefined
  }
}

function contentOf(directory: string): Content {
  return {
    // Hashing the memory would cost more than the restore: nothing but the build writes it, so its time tells. Likewise the disk.
    memory: timeOf(join(directory, memoryFile)) ?? '',
    deviceSha256: createHash('sha256')
      .update(readFileSync(join(directory, deviceFile)))
      .digest('hex'),
    disk: timeOf(join(directory, diskFile)),
  }
}

function timeOf(path: string): string | undefined {
  const file = statSync(path, { bigint: true, throwIfNoEntry: false })
  return file === undefined ? undefined : `${file.size}:${file.mtimeNs}`
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
    freedBytes += bytesOf(removed)
    rmSync(removed, { recursive: true, force: true })
  }
  return freedBytes
}

function bytesOf(directory: string): number {
  const blockBytes = 512
  return readdirSync(directory)
    .map(name => statSync(join(directory, name), { throwIfNoEntry: false })?.blocks ?? 0)
    .reduce((sum, blocks) => sum + blocks * blockBytes, 0)
}

/** The time of its last use is the manifest's. */
function touch({ directory }: Template): void {
  const now = new Date()
  try {
    utimesSync(join(directory, manifestFile), now, now)
  } catch {
    // Another process has removed it, which the start finds out.
  }
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
