import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { exitCode } from '../cli/coffer.ts'
import { openTestHome, type TestHome } from '../home.ts'
import { pushImage, runnableLayer } from '../images/oci-image.ts'
import { startRegistry } from '../registry/registry.ts'

const expected: Readonly<Record<string, RegExp>> = {
  library: /^exit code 0: Linux [\s\S]*exitCode: 0/,
  streaming:
    /^20000000 bytes, exit code 0\nruns as process \d+\n(?:(?:out|stdout|stderr|err)[^\n]*\n)+exit code 5\nfrom here and back\n$/,
  interactive: /^the shell ended with exit code 7\n$/,
  parallel:
    /^0 in \/tmp as 1000: exit code 0\n1 in \/etc as 1001: exit code 1\n[\s\S]*15 in \/etc as 1015: exit code 15\n16 commands in \d+ ms\n$/,
  timeout:
    /^timed out: true, ended by SIGKILL\naborted: aborted\ntoo much: resource_exhausted\nlimits: 64 files, 2048 blocks of 512 bytes\n$/,
  lifecycle:
    /^starting\nstarted\n(?=[\s\S]*\nlog: listening\n)[\s\S]*\nhealth: healthy\npaused\nresumed\n(?=[\s\S]*\nit ended: the box was stopped\n)[\s\S]*\nstopped\n[\s\S]*removed\n$/,
}

for (const [name, output] of Object.entries(expected)) {
  test(`examples/${name}.ts does what it says`, { timeout: 120_000 }, async ({ signal }) => {
    await using home = await openTestHome()
    await runExample({ name, home, output, signal })
  })
}

test('examples/private-registry.ts does what it says', { timeout: 120_000 }, async ({ signal }) => {
  await using registry = await startRegistry({ auth: 'basic' })
  const { digest } = await pushImage(registry, 'team/app:1', { layers: [runnableLayer()] })
  // Not the images that all tests share: this one is to be fetched.
  await using home = await openTestHome({ ownImages: true })
  const output = new RegExp(
    `^layer 1 of 1: \\d+ bytes\npulled ${digest}\nhello from root\npushed what was committed\n$`,
  )
  const environment = {
    REGISTRY: registry.host,
    REGISTRY_USER: registry.username,
    REGISTRY_PASSWORD: registry.password,
  }
  await runExample({ name: 'private-registry', home, output, environment, signal })
})

type Example = {
  readonly name: string
  readonly home: TestHome
  readonly output: RegExp
  readonly environment?: Readonly<Record<string, string>>
  /** Ends an example that hangs, for which the tests after it would wait. */
  readonly signal: AbortSignal
}

async function runExample({ name, home, output, environment, signal }: Example): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, `../../examples/${name}.ts`)], {
    env: { ...process.env, COFFER_HOME: home.path, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  })
  // The test's own timeout tells of the abort.
  child.on('error', () => {})
  const [code, stdout, stderr] = await Promise.all([exitCode(child), text(child.stdout), text(child.stderr)])
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, output)
}
