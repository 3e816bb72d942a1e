import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { cofferForThisFile } from './coffer.ts'

const coffer = cofferForThisFile()

const wrong: readonly (readonly [line: string, message: RegExp])[] = [
  ['rnu', /unknown command 'rnu'[\s\S]*run/],
  ['run --memry 3 -- true', /unknown option '--memry'[\s\S]*--memory/],
  ['run --memory lots -- true', /--memory[\s\S]*1g/],
  ['run --cpus 0 -- true', /--cpus/],
  ['run -e', /argument missing/],
  ['run -e =x -- true', /=x/],
  ['run --env-file /no/such/file -- true', /no\/such\/file/],
  ['run --rm --keep -- true', /exclude each other/],
  ['run -t -- true', /not a terminal/],
  ['run', /no command/],
  ['exec', /missing required argument/],
  ['exec box', /no command/],
  ['exec -t box sh', /not a terminal/],
  ['exec --timeout soon box true', /--timeout/],
  ['exec --rlimit nofile box true', /--rlimit/],
  ['logs', /missing required argument/],
  ['logs --console -f box', /exclude each other/],
  ['logs --since soon box', /--since[\s\S]*10m/],
  ['logs --stream both box', /--stream/],
  ['exec --detach-keys alt-x box true', /alt-x/],
  ['attach', /missing required argument/],
  ['attach --detach-keys ctrl-1 box', /ctrl-1/],
  ['kill', /missing required argument/],
  ['kill -s NOTHING box', /--signal/],
  ['wait', /missing required argument/],
  ['wait --healthy --port 80 box', /--healthy and --port exclude/],
  ['wait --port 99999 box', /--port/],
  ['wait --timeout 0 box', /--timeout/],
  ['stop -t soon box', /--timeout/],
  ['restart', /missing required argument/],
  ['pause', /missing required argument/],
  ['unpause', /missing required argument/],
  ['prune', /no terminal[\s\S]*--force/],
  ['events --all --since 3', /exclude each other/],
  ['events --since soon', /--since[\s\S]*cursor/],
  ['create --restart sometimes', /--restart[\s\S]*on-failure:N/],
  ['create --health-retries 3', /no health check[\s\S]*--health-cmd/],
  ['create --health-cmd true --health-port 80', /exclude each other/],
  ['create --idle-timeout 0', /--idle-timeout/],
  ['create --label =x', /--label/],
  ['run --restart always -- true', /needs -d/],
  ['run -d --rm --restart always -- true', /exclude each other/],
  ['top', /missing required argument/],
  ['pull', /missing required argument/],
  ['pull --policy sometimes x', /--policy/],
  ['push', /missing required argument/],
  ['images --json -q', /exclude each other/],
  ['rmi', /missing required argument/],
  ['tag one', /missing required argument/],
  ['save', /missing required argument/],
  ['save --format zip x', /--format[\s\S]*oci-archive/],
  ['import-rootfs /', /missing required argument/],
  ['import-rootfs -e =x / own:1', /=x/],
  ['login', /no terminal[\s\S]*--password-stdin/],
  ['login --password-stdin', /--password-stdin needs --username/],
  ['login -u me -p x --password-stdin', /exclude each other/],
  ['commit box', /missing required argument/],
  ['history', /missing required argument/],
  ['system dg', /unknown command 'dg'[\s\S]*df/],
  ['system df extra', /too many arguments/],
  ['prune --images', /no terminal[\s\S]*--force/],
  ['prune -a --force', /-a needs --images/],
  ['inspect --type disk x', /--type/],
  ['run --pull sometimes image', /--pull[\s\S]*missing/],
  ['create --no-healthcheck --health-port 80', /--no-healthcheck/],
  ['create --stop-signal NOTHING', /--stop-signal/],
  ['executions --json -q box', /exclude each other/],
  ['run -d --timeout 3 -- true', /exclude each other/],
  ['run -d --rlimit nofile=3 -- true', /exclude each other/],
  ['run -d -i -- cat', /-i needs -t/],
  ['ps extra', /too many arguments/],
  ['ps --json -q', /exclude each other/],
  ['ps --filter status=runing', /runing/],
]

for (const [line, message] of wrong) {
  test(`coffer ${line}: exit code 2, and how it is used`, async () => {
    const { code, stdout, stderr } = await coffer.run(line.split(' '))
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /^coffer: /)
    assert.match(stderr, message)
    assert.match(stderr, /\n {2}usage: coffer /)
  })
}

test('help is on standard output and exit code 0, and without a command on standard error and 2', async () => {
  for (const line of ['--help', 'run --help', 'exec -h']) {
    const { code, stdout, stderr } = await coffer.run(line.split(' '))
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^Usage: coffer /)
  }
  const { code, stdout, stderr } = await coffer.run([])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /^Usage: coffer /)
})

test('version prints what runs, as text and as JSON', async () => {
  assert.match((await coffer.run(['version'])).stdout, /^coffer \d+\.\d+\.\d+ \(Node .+\)\n$/)
  assert.equal(JSON.parse((await coffer.run(['version', '--json'])).stdout).node, process.versions.node)
})

test('what needs no home makes none', () => {
  assert.deepEqual(readdirSync(coffer.home), [])
})

test('doctor names every component, and says by its exit code whether all are well', async () => {
  const { code, stdout } = await coffer.run(['doctor', '--json'])
  const reports: { name: string; ok: boolean; problem?: string; remedy?: string }[] = JSON.parse(stdout)
  assert.ok(reports.length > 5)
  assert.equal(code, reports.every(({ ok }) => ok) ? 0 : 1)
  for (const report of reports) assert.ok(report.ok || report.problem, report.name)
})

test('doctor says what is wrong', async () => {
  const { code, stdout } = await coffer.run(['doctor'], '', { COFFER_BUILD_DIR: '/no/such/place' })
  assert.equal(code, 1)
  assert.match(stdout, /wrong[\s\S]*remedy: /)
})
