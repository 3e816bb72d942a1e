import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type Home, openHome } from '../state/home.ts'
import type { Template } from './template-files.ts'
import { dropStrayTemplates, ensureStored } from './template-store.ts'

let home: Home
let image: string
beforeEach(() => {
  home = openHome(mkdtempSync(join(tmpdir(), 'coffer-templates-')))
  image = join(home.images, 'image')
  writeFileSync(image, '')
})
afterEach(() => rmSync(home.path, { recursive: true, force: true }))

let built = 0

const files = ['memory', 'device', 'disk.qcow2', 'pages.json']

async function build(staging: string): Promise<void> {
  built += 1
  for (const name of files) writeFileSync(join(staging, name), `${name} ${built}`)
}

function ensure(key: string, of: string = image): Promise<Template> {
  return ensureStored({ home, key, image: of, options: {} }, build)
}

function ensureBoot(): Promise<Template> {
  return ensureStored({ home, key: 'boot', options: {} }, build)
}

/** As if it had been used last so long ago. */
function age({ directory }: Template, minutes: number): void {
  const at = new Date(Date.now() - minutes * 60_000)
  utimesSync(join(directory, 'template.json'), at, at)
}

test('a template is built once, whoever asks, and again when a part of it is not what was written', async () => {
  const before = built
  const [first] = await Promise.all([ensure('aa1'), ensure('aa1'), ensure('aa1')])
  assert.equal(built, before + 1)
  for (const name of [...files, 'template.json']) {
    truncateSync(join(first.directory, name), 3)
    await ensure('aa1')
    await ensure('aa1')
  }
  for (const name of files) {
    rmSync(join(first.directory, name))
    await ensure('aa1')
  }
  assert.equal(built, before + 1 + files.length + 1 + files.length)
  assert.deepEqual(readdirSync(home.temporary), [])
})

test('a build that fails leaves nothing, and the next one is tried', async () => {
  const failing = ensureStored({ home, key: 'bb1', image, options: {} }, async staging => {
    writeFileSync(join(staging, 'memory'), 'half')
    throw new Error('no luck')
  })
  await assert.rejects(failing, /no luck/)
  assert.deepEqual([...readdirSync(home.templates), ...readdirSync(home.temporary)], [])
  await ensure('bb1')
})

test('of mounted templates those last used stay; one that was used just now stays, and so do boot templates', async () => {
  const boot = await ensureBoot()
  age(boot, 10_000)
  for (let index = 0; index < 16; index++) age(await ensure(`old${index}`), 100 - index)
  // Used again: no longer the one to go first.
  await ensure('old0')
  await ensure('new1')
  const names = readdirSync(home.templates)
  assert.equal(names.length, 17)
  assert.ok(!names.includes('old1'))
  for (const name of ['boot', 'old0', 'old2', 'new1']) assert.ok(names.includes(name), name)
  // All just used: nobody's start loses its template.
  for (let index = 2; index < 16; index++) await ensure(`old${index}`)
  await ensure('new2')
  assert.equal(readdirSync(home.templates).length, 18)
})

test('a template goes with its image', async () => {
  const other = join(home.images, 'other')
  writeFileSync(other, '')
  await ensureBoot()
  await ensure('kept')
  await ensure('stray', other)
  assert.equal(dropStrayTemplates(home), 0)
  rmSync(other)
  assert.ok(dropStrayTemplates(home) > 0)
  assert.deepEqual(readdirSync(home.templates).sort(), ['boot', 'kept'])
})
