import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../errors.ts'
import { decodeImage, encodeImage, maxConfigBytes, parseImageConfig } from './config.ts'

const digest = `sha256:${'a'.repeat(64)}`
const parse = (value: unknown) => parseImageConfig(Buffer.from(JSON.stringify(value)))
const minimal = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [digest] } }
const configOf = (config: unknown) => parse({ ...minimal, config }).config

test('a configuration is read as Docker writes it', () => {
  const parsed = parse({
    ...minimal,
    created: '2026-01-01T00:00:00Z',
    author: 'somebody',
    config: {
      Entrypoint: ['/entry'],
      Cmd: ['a', ''],
      Env: ['PATH=/bin', 'WITH=a=b', 'EMPTY=', 'NAMELESS', '=x'],
      WorkingDir: 'srv',
      User: ' app:grp ',
      Labels: { a: 'b' },
      StopSignal: 'SIGQUIT',
      Volumes: { '/data': {}, relative: {} },
      ExposedPorts: { '80/tcp': {} },
      Healthcheck: { Test: ['CMD', 'check', 'it'], Interval: 5_000_000_000, Timeout: 0, Retries: 2 },
    },
    history: [{ created_by: 'RUN x' }, { created_by: 'CMD', empty_layer: true }],
  })
  assert.deepEqual(parsed.config, {
    entrypoint: ['/entry'],
    command: ['a', ''],
    env: { PATH: '/bin', WITH: 'a=b', EMPTY: '' },
    workdir: '/srv',
    user: 'app:grp',
    labels: { a: 'b' },
    stopSignal: 'SIGQUIT',
    volumes: ['/data'],
    exposedPorts: ['80/tcp'],
    healthCheck: {
      command: ['check', 'it'],
      intervalMs: 5000,
      timeoutMs: undefined,
      startPeriodMs: undefined,
      retries: 2,
    },
  })
  assert.deepEqual(parsed.diffIds, [digest])
  assert.deepEqual(
    parsed.history.map(({ createdBy, isEmptyLayer }) => [createdBy, isEmptyLayer]),
    [
      ['RUN x', false],
      ['CMD', true],
    ],
  )
})

test('what is null or left out is empty', () => {
  const empty = configOf(undefined)
  const nulls = Object.fromEntries(
    ['Entrypoint', 'Cmd', 'Env', 'Labels', 'Volumes', 'ExposedPorts', 'Healthcheck', 'User'].map(name => [
      name,
      null,
    ]),
  )
  assert.deepEqual(configOf(nulls), empty)
  assert.deepEqual(empty.entrypoint, [])
  assert.equal(empty.user, undefined)
})

test('a health check of NONE or of nothing is none, and one of a shell is run by one', () => {
  assert.equal(configOf({ Healthcheck: { Test: ['NONE'] } }).healthCheck, undefined)
  assert.equal(configOf({ Healthcheck: { Test: [] } }).healthCheck, undefined)
  assert.deepEqual(configOf({ Healthcheck: { Test: ['CMD-SHELL', 'a || b'] } }).healthCheck?.command, [
    '/bin/sh',
    '-c',
    'a || b',
  ])
})

test('what is malformed is refused by name', () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [[], /no object/],
    [{ ...minimal, rootfs: { type: 'other', diff_ids: [] } }, /layers/],
    [{ ...minimal, rootfs: { type: 'layers', diff_ids: ['x'] } }, /digest/],
    [{ ...minimal, config: { Env: 'A=b' } }, /Env is no list/],
    [{ ...minimal, config: { Cmd: [1] } }, /Cmd is no text/],
    [{ ...minimal, config: { User: 'a\0b' } }, /User holds a NUL/],
    [{ ...minimal, config: { Labels: { a: 1 } } }, /Labels is no text/],
    [{ ...minimal, config: { Healthcheck: { Test: ['CMD'] } } }, /no command/],
    [{ ...minimal, config: { Healthcheck: { Test: ['CMD', 'x'], Retries: -1 } } }, /Retries/],
    [{ ...minimal, config: { Env: Array(20_000).fill('A=b') } }, /more than/],
    [{ ...minimal, history: Array(20_000).fill({}) }, /more than/],
  ]
  for (const [value, expected] of cases)
    assert.throws(
      () => parse(value),
      error => isCofferError(error, 'image_pull_failed') && expected.test(error.message),
      String(expected),
    )
  assert.throws(() => parseImageConfig(Buffer.from('{')), /no JSON/)
  assert.throws(() => parseImageConfig(Buffer.alloc(maxConfigBytes + 1, ' ')), /more than/)
})

const anything = fc.oneof(
  fc.constant(null),
  fc.array(fc.string()),
  fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.constant({}))),
  fc.jsonValue({ maxDepth: 3 }),
)
const fields = [
  'Entrypoint',
  'Cmd',
  'Env',
  'WorkingDir',
  'User',
  'Labels',
  'StopSignal',
  'Volumes',
  'ExposedPorts',
]

test('whatever the configuration is, it is read or refused, and kept as it was read', () => {
  const config = fc.record(Object.fromEntries(fields.map(field => [field, anything])), { requiredKeys: [] })
  const healthCheck = fc.record(
    { Test: fc.array(fc.constantFrom('CMD', 'CMD-SHELL', 'NONE', 'x')), Interval: anything },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(config, fc.option(healthCheck), fc.option(anything), (known, Healthcheck, history) => {
      try {
        const parsed = parse({ ...minimal, config: { ...known, Healthcheck }, history })
        const kept = decodeImage(encodeImage(parsed))
        assert.deepEqual(kept, { config: parsed.config, createdAt: parsed.createdAt })
      } catch (error) {
        assert.ok(isCofferError(error, 'image_pull_failed'), String(error))
      }
    }),
    { numRuns: 500 },
  )
})
