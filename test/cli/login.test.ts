import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { file, type PushedImage, pushImage, runnableLayer } from '../images/oci-image.ts'
import { type Front, startFront } from '../registry/front.ts'
import { startRegistry, storedBlob, type TestRegistry } from '../registry/registry.ts'
import { cofferForThisFile } from './coffer.ts'
import { fails, logIn, short, succeeds } from './image-commands.ts'
import { startOnTerminal } from './terminal.ts'

// A registry that wants a login, and what people see at a terminal. The tests build on each other.

const coffer = cofferForThisFile()
const other = cofferForThisFile()
const deadline = { timeout: 120_000 }

let registry: TestRegistry
let app: PushedImage

before(async () => {
  registry = await startRegistry({ auth: 'basic' })
  app = await pushImage(registry, 'team/app:1', { layers: [runnableLayer()] })
})
after(() => registry[Symbol.asyncDispose]())

test('without a login a private image is refused, with the command that logs in', async () => {
  const stderr = await fails(coffer, 'pull', app.name)
  assert.match(stderr, /wants credentials/)
  assert.ok(stderr.includes(`coffer login ${registry.host}`))
})

test('login keeps what the registry accepts, for the owner alone, and never shows a password', async () => {
  const words = ['login', '-u', registry.username, '--password-stdin', registry.host]
  const wrong = await coffer.run(words, 'not-this-one\n')
  assert.deepEqual([wrong.code, wrong.stdout], [125, ''])
  assert.match(wrong.stderr, /^coffer: cannot log in to .*credentials[\s\S]*hint: /)
  assert.doesNotMatch(wrong.stderr, /not-this-one/)
  const right = await coffer.run(words, `${registry.password}\n`)
  assert.deepEqual([right.code, right.stdout], [0, ''])
  assert.equal(right.stderr, `coffer: logged in to ${registry.host} as ${registry.username}\n`)
  const kept = join(coffer.home, 'credentials.json')
  assert.equal(statSync(kept).mode & 0o777, 0o600)
  assert.ok(readFileSync(kept, 'utf8').includes(registry.password))
})

test('a password on the command line is warned of', async () => {
  const words = ['login', '-u', registry.username, '-p', registry.password, registry.host]
  const { code, stderr } = await other.run(words)
  assert.equal(code, 0, stderr)
  assert.match(stderr, /^coffer: warning: .*--password-stdin\n/)
  assert.ok(!stderr.includes(registry.password))
  assert.match((await other.run(['logout', registry.host])).stderr, /logged out of/)
  assert.match((await other.run(['logout', registry.host])).stderr, /there was no login/)
})

test('at a terminal login asks, and the password is not echoed', deadline, async () => {
  const screen = startOnTerminal(other, `$COFFER login ${registry.host}; echo "code $?"`)
  await screen.sees(/User name for .*: /)
  screen.type(`${registry.username}\r`)
  await screen.sees(/Password of reader: /)
  screen.type(`${registry.password}x\u007f\r`)
  const shown = await screen.sees(/code 0/)
  assert.match(shown, /logged in to/)
  assert.ok(!shown.includes(registry.password.slice(0, 5)))
  await screen.ends()
  const again = startOnTerminal(other, `$COFFER login -u me ${registry.host}; echo "code $?"; stty -a`)
  await again.sees(/Password of me: /)
  again.type('\u0003')
  // The terminal is as it was.
  assert.match(await again.sees(/ -?echoe /), /code 130[\s\S]* echo /)
  await again.ends()
})

test('an archive is not written to a terminal', deadline, async () => {
  const screen = startOnTerminal(coffer, `$COFFER save ${app.name}; exit $?`)
  const { code, screen: shown } = await screen.ends()
  assert.equal(code, 2)
  assert.match(shown, /not written to a terminal[\s\S]*-o/)
})

test(
  'at a terminal a pull has bars; Ctrl-C ends it, and the next one goes on where it was',
  deadline,
  async () => {
    const large = await pushImage(registry, 'team/large:1', {
      layers: [[file('large', randomBytes(4_000_000))]],
      level: 0,
    })
    const digest = large.layers[0]?.digest ?? ''
    const isLarge = ({ method, path }: { method: string; path: string }): boolean =>
      method === 'GET' && path.endsWith(digest)
    await using front: Front = await startFront(registry.host)
    const begun = Promise.withResolvers<void>()
    front.answer = async exchange => {
      // The first time half of it, and then nothing more.
      if (
        !isLarge(exchange) ||
        exchange.headers.authorization === undefined ||
        exchange.headers.range !== undefined
      )
        return exchange.forward()
      const bytes = storedBlob(registry, digest)
      exchange.response.writeHead(200, { 'content-length': `${bytes.length}` })
      exchange.response.write(bytes.subarray(0, 1_000_000))
      await begun.promise
      exchange.response.write(bytes.subarray(1_000_000, 2_000_000))
    }
    await logIn(coffer, registry, front.host)
    const name = `${front.host}/team/large:1`
    const screen = startOnTerminal(coffer, `exec $COFFER pull ${name}`)
    // Twice: what comes just after another event is not told of.
    await screen.sees(new RegExp(`(${short(digest)}  downloading  [^]*){2}`))
    begun.resolve()
    await screen.sees(/downloading {2}\[=*> +\] +\S+ [kM]B\/4\.0 MB/)
    screen.type('\u0003')
    const { code, screen: shown } = await screen.ends()
    assert.equal(code, 130)
    assert.match(shown, /coffer: given up; .* goes on from there/)
    assert.equal(await succeeds(coffer, 'pull', '-q', name), `${large.digest}\n`)
    assert.match(front.requests.findLast(isLarge)?.headers.range ?? '', /^bytes=[1-9]\d*-/)
  },
)
