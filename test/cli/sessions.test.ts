import assert from 'node:assert/strict'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { before, test } from 'node:test'
import { eventually } from '../home.ts'
import { cofferForThisFile, exitCode } from './coffer.ts'
import { startOnTerminal } from './terminal.ts'

const coffer = cofferForThisFile()
const deadline = { timeout: 120_000 }

before(async () => {
  assert.equal((await coffer.run(['create', '--name', 'box', '--memory', '192m'])).code, 0)
})

/** What `coffer executions` says of one. */
async function execution(id: string): Promise<{ attached: boolean; result?: { exitCode: number } }> {
  const all: { id: string; attached: boolean }[] = JSON.parse(
    (await coffer.run(['executions', '--json', 'box'])).stdout,
  )
  return all.find(each => each.id === id) ?? assert.fail(`no execution ${id}`)
}

async function execDetached(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await coffer.run(['exec', '-d', ...words])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^[0-9A-Za-z]{12}\n$/)
  return stdout.trim()
}

/** Shell code that waits until a test says `go`. */
const waitFor = (name: string) => `until [ -e /tmp/${name} ]; do sleep 0.1; done`

async function go(name: string): Promise<void> {
  assert.equal((await coffer.run(['exec', 'box', 'touch', `/tmp/${name}`])).code, 0)
}

test(
  'exec -d runs on without its client: attach gets what was missed, then the rest and the exit code',
  deadline,
  async () => {
    const script = `${waitFor('first')}; echo missed; touch /tmp/wrote; ${waitFor('second')}; echo live; exit 7`
    const id = await execDetached('box', 'sh', '-c', script)
    await go('first')
    await coffer.run(['exec', 'box', 'sh', '-c', waitFor('wrote')])
    const client = coffer.start(['attach', 'box', id])
    const code = exitCode(client)
    let output = ''
    client.stdout.on('data', chunk => {
      output += chunk
    })
    await once(client.stdout, 'data')
    assert.equal((await execution(id)).attached, true)
    const second = await coffer.run(['attach', 'box', id])
    assert.deepEqual([second.code, second.stdout], [125, ''])
    assert.match(second.stderr, /somebody is attached[\s\S]*hint: /)
    await go('second')
    assert.equal(await code, 7)
    assert.equal(output, 'missed\nlive\n')
    assert.equal((await execution(id)).result?.exitCode, 7)
  },
)

test('what ended while nobody was there is told to whoever asks later', deadline, async () => {
  const id = await execDetached('box', 'sh', '-c', `${waitFor('late')}; echo out; echo err >&2; exit 3`)
  await go('late')
  await eventually('the end', async () => (await execution(id)).result !== undefined)
  const { code, stdout, stderr } = await coffer.run(['attach', 'box', id])
  assert.deepEqual([code, stdout, stderr], [3, 'out\n', 'err\n'])
})

test(
  'a client that is killed leaves a detached execution alone, one that joined it too',
  deadline,
  async () => {
    const id = await execDetached('box', 'sh', '-c', `${waitFor('up')}; echo up; sleep 1000`)
    const client = coffer.start(['attach', 'box', id])
    await go('up')
    await once(client.stdout, 'data')
    const ended = exitCode(client)
    client.kill('SIGKILL')
    await ended
    const info = await execution(id)
    assert.equal(info.result, undefined)
    assert.deepEqual(await coffer.run(['kill', 'box', id]).then(({ code, stdout }) => [code, stdout]), [
      0,
      '',
    ])
    assert.equal((await coffer.run(['attach', 'box', id])).code, 137)
  },
)

test('kill sends any signal, to what is there', deadline, async () => {
  const script = `${waitFor('ready')}; trap "echo got it; exit 9" USR1; echo ready; while :; do sleep 0.1; done`
  const id = await execDetached('box', 'sh', '-c', script)
  const client = coffer.start(['attach', 'box', id])
  const [code, output] = [exitCode(client), text(client.stdout)]
  await go('ready')
  await once(client.stdout, 'readable')
  assert.equal((await coffer.run(['kill', '-s', 'usr1', 'box', id])).code, 0)
  assert.equal(await code, 9)
  assert.equal(await output, 'ready\ngot it\n')
  const unknown = await coffer.run(['kill', 'box', 'no-such-one'])
  assert.equal(unknown.code, 125)
  assert.match(unknown.stderr, /no-such-one/)
})

test('without a main process, kill and attach say so, and logs names the console', deadline, async () => {
  for (const words of [['kill'], ['attach'], ['logs']]) {
    const { code, stdout, stderr } = await coffer.run([...words, 'box'])
    assert.deepEqual([code, stdout], [125, ''])
    assert.match(stderr, /no main process[\s\S]*hint: /)
  }
  assert.match((await coffer.run(['logs', 'box'])).stderr, /--console/)
})

test('top lists the processes inside, as a table and as JSON', deadline, async () => {
  const id = await execDetached('-u', '1000', 'box', 'sleep', '1234')
  const { code, stdout } = await coffer.run(['top', 'box'])
  assert.equal(code, 0)
  assert.match(stdout, /^PID +USER +STATE +MEMORY +CPU TIME +COMMAND\n/)
  assert.match(stdout, /\n\d+ +1000 +S +[\d.]+ MiB +[\d.]+ s +sleep 1234\n/)
  const processes: { command: string; uid: number }[] = JSON.parse(
    (await coffer.run(['top', '--json', 'box'])).stdout,
  )
  assert.equal(processes.find(({ command }) => command === 'sleep 1234')?.uid, 1000)
  await coffer.run(['kill', 'box', id])
})

test('the detach keys leave a shell on a terminal, and attach comes back to it', deadline, async () => {
  const before = (await coffer.run(['executions', '-q', 'box'])).stdout.split('\n')
  const script =
    'stty rows 30 cols 90; old=$(stty -g); $COFFER exec -it box sh; echo "code $?"; [ "$(stty -g)" = "$old" ] && echo same; read wait'
  const first = startOnTerminal(coffer, script)
  await first.sees(/# /)
  first.type('mark=kept\r')
  first.type('\u0010\u0011')
  await first.sees(/code 0\s+same/)
  first.type('\r')
  await first.ends()
  const id =
    (await coffer.run(['executions', '-q', 'box'])).stdout.split('\n').find(each => !before.includes(each)) ??
    ''
  assert.equal((await execution(id)).attached, false)
  const second = startOnTerminal(
    coffer,
    `stty rows 40 cols 100; $COFFER attach --detach-keys ctrl-a,x box ${id}; exit $?`,
  )
  second.type('\u0001')
  second.type('\u0001echo "$mark $((40 + 2))"; stty size; exit 6\r')
  await second.sees(/kept 42\s+40 100/)
  assert.equal((await second.ends()).code, 6)
})
