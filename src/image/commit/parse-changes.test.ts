import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../../errors.ts'
import { changeConfig } from './config-changes.ts'
import { parseChanges } from './parse-changes.ts'

test('instructions are read as in a Dockerfile', () => {
  assert.deepEqual(
    parseChanges([
      'CMD ["sh", "-c", "echo hi"]',
      'entrypoint exec top -b',
      'ENV A=1 B="two words" C=three\\ words D=\'$x\'',
      'ENV OLD the old form',
      'LABEL "com.example.name"="a \\"b\\"" version=1.0',
      'WORKDIR /srv',
      'WORKDIR app',
      'USER app:staff',
      'EXPOSE 80 53/UDP',
      'VOLUME ["/data"]',
      'VOLUME /a /b',
      'STOPSIGNAL SIGQUIT',
    ]),
    {
      command: ['sh', '-c', 'echo hi'],
      entrypoint: ['/bin/sh', '-c', 'exec top -b'],
      env: { A: '1', B: 'two words', C: 'three words', D: '$x', OLD: 'the old form' },
      labels: { 'com.example.name': 'a "b"', version: '1.0' },
      workdir: '/srv/app',
      user: 'app:staff',
      exposedPorts: ['80/tcp', '53/udp'],
      volumes: ['/data', '/a', '/b'],
      stopSignal: 'SIGQUIT',
    },
  )
})

test('what is no such instruction is refused', () => {
  for (const line of [
    'RUN true',
    'CMD',
    'ENV A',
    'ENV A=1 B',
    'EXPOSE 0',
    'EXPOSE 70000',
    'EXPOSE x',
    'LABEL a="b',
    '',
  ])
    assert.throws(
      () => parseChanges([line]),
      error => isCofferError(error, 'invalid_argument'),
      line,
    )
})

test('whatever is written is read or refused', () => {
  const word = fc.constantFrom(
    'CMD',
    'ENV',
    'LABEL',
    'EXPOSE',
    'VOLUME',
    '"',
    "'",
    '\\',
    '=',
    ' ',
    '[',
    ']',
    'a',
    '\n',
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), words => {
      try {
        parseChanges([words.join('')])
      } catch (error) {
        assert.ok(isCofferError(error, 'invalid_argument'), `${error}`)
      }
    }),
  )
})

test('changes add to what is there, and leave alone what they do not name', () => {
  const config = {
    Cmd: ['old'],
    Entrypoint: ['entry'],
    Env: ['PATH=/bin', 'A=0'],
    WorkingDir: '/srv/',
    Labels: { a: '1' },
    Unknown: { kept: true },
  }
  assert.deepEqual(changeConfig(config, {}), config)
  assert.deepEqual(
    changeConfig(
      config,
      parseChanges(['ENV A=1 B=2', 'LABEL b=2', 'WORKDIR app', 'EXPOSE 80', 'VOLUME /v', 'CMD ["new"]']),
    ),
    {
      ...config,
      Cmd: ['new'],
      Env: ['PATH=/bin', 'A=1', 'B=2'],
      WorkingDir: '/srv/app',
      Labels: { a: '1', b: '2' },
      ExposedPorts: { '80/tcp': {} },
      Volumes: { '/v': {} },
    },
  )
})

test('a new entrypoint takes the old command with it, unless that is named as well', () => {
  const config = { Cmd: ['old'], Entrypoint: ['entry'] }
  assert.deepEqual(changeConfig(config, parseChanges(['ENTRYPOINT ["new"]'])), { Entrypoint: ['new'] })
  assert.deepEqual(changeConfig(config, parseChanges(['ENTRYPOINT ["new"]', 'CMD ["x"]'])), {
    Entrypoint: ['new'],
    Cmd: ['x'],
  })
})
