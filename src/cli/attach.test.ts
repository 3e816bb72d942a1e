import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

const fixture = join(import.meta.dirname, 'attach.fixture.ts')

/** Runs `attach` in a process of its own: its streams and signals are the process's. */
function start(...words: readonly string[]) {
  return spawn(process.execPath, [fixture, ...words], { stdio: ['pipe', 'pipe', 'pipe'] })
}

function exit(child: ReturnType<typeof start>): Promise<number | null> {
  return new Promise(resolve => child.on('exit', resolve))
}

test('output is passed on byte for byte, however slowly it is read', async () => {
  const child = start('bytes')
  const hash = createHash('sha256')
  let length = 0
  for await (const chunk of child.stdout) {
    if (length === 0) await new Promise(resolve => setTimeout(resolve, 100))
    hash.update(chunk)
    length += chunk.length
  }
  assert.equal(length, 8 * 1024 * 1024)
  assert.match(await text(child.stderr), new RegExp(`sha256 ${hash.digest('hex')}`))
})

test('input is passed on to its end', async () => {
  const child = start('echo')
  const ended = exit(child)
  child.stdin.end('hello\u0000world')
  assert.equal(await text(child.stdout), 'hello\u0000world')
  assert.equal(await ended, 7)
})

test('a reader that goes away ends the command, quietly', async () => {
  const child = start('flood')
  const [ended, errors] = [exit(child), text(child.stderr)]
  child.stdout.once('data', () => child.stdout.destroy())
  assert.equal(await ended, 141)
  assert.equal(await errors, 'kill\n')
})

test('the first signal goes to the command, the second kills it', async () => {
  const child = start('stubborn')
  const [ended, errors] = [exit(child), text(child.stderr)]
  for await (const chunk of child.stdout) {
    if (`${chunk}`.includes('ready') || `${chunk}`.includes('ignored')) child.kill('SIGINT')
  }
  assert.equal(await ended, 130)
  assert.equal(await errors, 'signal SIGINT\nkill\n')
})

test('the detach keys leave the command, and reach it in no part', async () => {
  const child = start('echo')
  const [ended, output, errors] = [exit(child), text(child.stdout), text(child.stderr)]
  child.stdin.write('typed\u0010')
  child.stdin.write('\u0011not this')
  assert.equal(await ended, 0)
  assert.equal(await output, 'typed')
  assert.equal(await errors, 'detach\n')
})

test('a beginning of the detach keys at the end of the input is input', async () => {
  const child = start('echo')
  child.stdin.end('typed\u0010')
  assert.equal(await text(child.stdout), 'typed\u0010')
})

test('a command that was joined outlives a reader that goes away', async () => {
  const child = start('flood', 'joined')
  const [ended, errors] = [exit(child), text(child.stderr)]
  child.stdout.once('data', () => child.stdout.destroy())
  assert.equal(await ended, 141)
  assert.equal(await errors, 'detach\n')
})

test('a command that was joined gets the first signal and outlives the second', async () => {
  const child = start('stubborn', 'joined')
  const [ended, errors] = [exit(child), text(child.stderr)]
  for await (const chunk of child.stdout) {
    if (`${chunk}`.includes('ready') || `${chunk}`.includes('ignored')) child.kill('SIGINT')
  }
  assert.equal(await ended, 130)
  assert.equal(await errors, 'signal SIGINT\ndetach\n')
})

test('the end of the terminal, and with --no-signals every signal, leaves a command that was joined', async () => {
  for (const [manner, signal, code] of [
    ['joined', 'SIGHUP', 129],
    ['keep-signals', 'SIGTERM', 143],
  ] as const) {
    const child = start('stubborn', manner)
    const [ended, errors] = [exit(child), text(child.stderr)]
    child.stdout.once('data', () => child.kill(signal))
    assert.equal(await ended, code)
    assert.equal(await errors, 'detach\n')
  }
})
