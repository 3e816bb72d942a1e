import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readEnvironment } from './environment.ts'

const directory = mkdtempSync(join(tmpdir(), 'coffer-environment-'))
after(() => rmSync(directory, { recursive: true }))

test('KEY=VALUE sets, and the value may hold anything, an equals sign too', () => {
  assert.deepEqual(readEnvironment(['A=1', 'B=', 'C=x=y z']), { A: '1', B: '', C: 'x=y z' })
})

test('a bare KEY takes the value it has here, and is left out where it has none', () => {
  assert.deepEqual(readEnvironment(['HERE', 'NOWHERE'], [], { HERE: 'yes' }), { HERE: 'yes' })
})

test('single settings hold over files, and later ones over earlier ones', () => {
  const file = join(directory, 'vars')
  writeFileSync(file, '\u{feff}# a comment\n\nA=file\r\n  B=two words \nFROM_HERE\n')
  const environment = readEnvironment(['A=1', 'A=2'], [file], { FROM_HERE: 'x' })
  assert.deepEqual(environment, { A: '2', B: 'two words ', FROM_HERE: 'x' })
})

test('a malformed setting and an unreadable file are errors of usage', () => {
  for (const setting of ['=x', '', 'a b=c'])
    assert.throws(() => readEnvironment([setting]), { name: 'UsageError' })
  assert.throws(() => readEnvironment([], [join(directory, 'none')]), { name: 'UsageError', message: /none/ })
})
