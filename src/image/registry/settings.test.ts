import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../../errors.ts'
import { loadRegistrySettings, parseRegistrySettings, settingsOf, settingsOfUrl } from './settings.ts'

const parse = (value: unknown) => parseRegistrySettings(value, 'registries.json', 'config_error')

test('settings are read for each host', () => {
  const settings = parse({
    search: ['ghcr.io', 'localhost:5000'],
    registries: {
      'docker.io': { mirrors: ['mirror.example:5000', 'harbor.example/hub/proxy/'] },
      'plain.example:5000': { transport: 'http' },
      'own.example': { caFile: '/etc/ca.pem', dangerouslySkipTlsVerification: true },
    },
  })
  assert.deepEqual(settings.search, ['ghcr.io', 'localhost:5000'])
  assert.deepEqual(settingsOf(settings, 'docker.io').mirrors, [
    { host: 'mirror.example:5000', prefix: '' },
    { host: 'harbor.example', prefix: 'hub/proxy' },
  ])
  assert.equal(settingsOf(settings, 'plain.example:5000').transport, 'http')
  assert.equal(settingsOf(settings, 'plain.example').transport, undefined)
  assert.deepEqual(settingsOf(settings, 'own.example'), {
    transport: undefined,
    caFile: '/etc/ca.pem',
    skipTlsVerification: true,
    mirrors: [],
  })
})

test('a connection has the settings of its host, whatever the case and with the usual port or without', () => {
  const settings = parse({
    registries: {
      'docker.io': { caFile: '/hub' },
      'A.example:443': { caFile: '/a' },
      'b.example:5000': { caFile: '/b' },
    },
  })
  const caFile = (url: string) => settingsOfUrl(settings, new URL(url)).caFile
  assert.equal(caFile('https://registry-1.docker.io/v2/'), '/hub')
  assert.equal(caFile('https://a.example/v2/'), '/a')
  assert.equal(caFile('https://b.example:5000/v2/'), '/b')
  assert.equal(caFile('https://b.example/v2/'), undefined)
  assert.equal(settingsOf(settings, 'A.EXAMPLE:443').caFile, '/a')
})

for (const [title, value, word] of [
  ['an unknown key', { serach: [] }, 'serach'],
  ['an unknown key of a host', { registries: { 'a.io': { insecure: true } } }, 'insecure'],
  ['a host with a scheme', { search: ['https://ghcr.io'] }, 'host[:port]'],
  ['a host with a path', { registries: { 'a.io/b': {} } }, 'host[:port]'],
  ['a mirror with a scheme', { registries: { 'a.io': { mirrors: ['https://m.io'] } } }, 'host[:port]'],
  ['a mirror with a path that is none', { registries: { 'a.io': { mirrors: ['m.io/../x'] } } }, 'path'],
  ['another transport', { registries: { 'a.io': { transport: 'ftp' } } }, 'transport'],
  ['certificates for http', { registries: { 'a.io': { transport: 'http', caFile: '/ca' } } }, 'http'],
  ['a relative caFile', { registries: { 'a.io': { caFile: 'ca.pem' } } }, 'caFile'],
  ['a list where an object is due', [], 'object'],
  ['an object where a list is due', { search: {} }, 'list'],
  [
    'text where a truth value is due',
    { registries: { 'a.io': { dangerouslySkipTlsVerification: 'yes' } } },
    'true nor false',
  ],
] as const)
  test(`${title} is a config_error that says so`, () => {
    assert.throws(
      () => parse(value),
      error => isCofferError(error, 'config_error') && `${error.message} ${error.hint}`.includes(word),
    )
  })

test('any JSON is settings or a config_error', () => {
  const field = fc.constantFrom(
    'search',
    'registries',
    'a.io',
    'transport',
    'caFile',
    'mirrors',
    '__proto__',
    'x',
  )
  const value = fc.letrec(tie => ({
    any: fc.oneof(fc.jsonValue(), fc.dictionary(field, tie('any')), fc.array(tie('any'), { maxLength: 3 })),
  })).any
  fc.assert(
    fc.property(value, json => {
      try {
        parse(json)
      } catch (error) {
        if (!isCofferError(error, 'config_error')) throw error
      }
    }),
    { numRuns: 300 },
  )
})

test('the file of a home is optional, and options stand in place of what it says', () => {
  const home = mkdtempSync(join(tmpdir(), 'coffer-settings-'))
  try {
    assert.deepEqual(loadRegistrySettings(home).search, [])
    const file = join(home, 'registries.json')
    const stored = { search: ['ghcr.io'], registries: { 'a.io': { caFile: '/a' }, 'b.io': { caFile: '/b' } } }
    writeFileSync(file, JSON.stringify(stored))
    const settings = loadRegistrySettings(home, { registries: { 'a.io': { caFile: '/other' } } })
    assert.deepEqual(settings.search, ['ghcr.io'])
    assert.equal(settingsOf(settings, 'a.io').caFile, '/other')
    assert.equal(settingsOf(settings, 'b.io').caFile, '/b')
    const misspelt = JSON.parse('{"serach":[]}')
    assert.throws(
      () => loadRegistrySettings(home, misspelt),
      error => isCofferError(error, 'invalid_argument'),
    )
    writeFileSync(file, '{')
    assert.throws(
      () => loadRegistrySettings(home),
      error => isCofferError(error, 'config_error') && error.message.includes(file),
    )
  } finally {
    rmSync(home, { recursive: true })
  }
})
