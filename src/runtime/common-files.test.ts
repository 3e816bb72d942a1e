import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInConfig } from '../image/builtin.ts'
import { commonFiles } from './common-files.ts'

test('the shell and what the image runs are looked for where commands are', () => {
  const files = commonFiles({
    ...builtInConfig,
    env: { PATH: '/bin:relative::/usr/bin' },
    entrypoint: ['/init'],
    command: ['python3', '-c', 'print(1)'],
  })
  assert.ok(commonFiles(builtInConfig, 'make').includes('/usr/bin/make'))
  assert.ok(commonFiles(builtInConfig, '/opt/tool').includes('/opt/tool'))
  for (const path of ['/bin/sh', '/usr/bin/sh', '/init', '/bin/python3', '/usr/bin/python3', '/etc/passwd'])
    assert.ok(files.includes(path), path)
  assert.ok(files.every(path => path.startsWith('/')))
  assert.ok(!files.some(path => path.includes('relative') || path.includes('print')))
})

test('an image that says nothing, or too much, gives a list of bounded size', () => {
  assert.ok(commonFiles({ ...builtInConfig, env: {}, entrypoint: [], command: [] }).includes('/usr/bin/sh'))
  const hostile = {
    ...builtInConfig,
    env: { PATH: '/a:'.repeat(100_000) },
    entrypoint: ['x'.repeat(10_000)],
    command: ['./y', ''],
  }
  const files = commonFiles(hostile)
  assert.ok(files.length < 100)
  assert.ok(files.every(path => path.length < 4096))
})
