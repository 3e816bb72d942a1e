import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { parseReference } from '../../src/image/reference.ts'
import { askCredentialHelper } from '../../src/image/registry/credential-helper.ts'
import { storedRegistries } from '../../src/image/registry/credential-store.ts'
import { type Credentials, credentialsOfHome } from '../../src/image/registry/credentials.ts'
import { dockerCredentials } from '../../src/image/registry/docker-config.ts'
import { login, logout } from '../../src/image/registry/login.ts'
import { parseRegistrySettings } from '../../src/image/registry/settings.ts'
import { openHome } from '../../src/state/home.ts'
import { scratchDirectory } from '../scratch.ts'
import { failsWith, openClient } from './client.ts'
import { startFront } from './front.ts'
import { startRegistry, type TestRegistry } from './registry.ts'

function isRunning(pid: number): boolean {
  try {
    // A zombie that init has not collected yet runs no more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

function dockerConfig(directory: string, config: unknown): NodeJS.ProcessEnv {
  writeFileSync(join(directory, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config))
  return { DOCKER_CONFIG: directory, PATH: `${directory}:${process.env['PATH']}` }
}

/** A credential helper as Docker runs it: a program in PATH. */
function helper(directory: string, name: string, script: string): void {
  writeFileSync(join(directory, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`)
  chmodSync(join(directory, `docker-credential-${name}`), 0o755)
}

test("a login of Docker's configuration file is found under every spelling that Docker has used", async () => {
  using scratch = scratchDirectory('registry')
  const environment = dockerConfig(scratch.path, {
    auths: {
      'https://index.docker.io/v1/': { auth: base64('hub:one') },
      'ghcr.io': { auth: base64('git:a:b') },
      'https://old.example/v2/': { auth: base64('old:two\0') },
      'quay.io': { identitytoken: 'idtoken' },
      'plain.example': { username: 'name', password: 'word' },
      'bearer.example:5000': { registrytoken: 'regtoken' },
      'empty.example': {},
    },
  })
  const basic = (username: string, password: string): Credentials => ({ kind: 'basic', username, password })
  for (const [registry, expected] of [
    ['docker.io', basic('hub', 'one')],
    ['ghcr.io', basic('git', 'a:b')],
    ['old.example', basic('old', 'two')],
    ['quay.io', { kind: 'identityToken', token: 'idtoken' }],
    ['plain.example', basic('name', 'word')],
    ['bearer.example:5000', { kind: 'bearer', token: 'regtoken' }],
    ['empty.example', undefined],
    ['bearer.example', undefined],
    ['constructor', undefined],
  ] as [string, Credentials | undefined][])
    assert.deepEqual(await dockerCredentials(registry, environment), expected, registry)
})

test('no configuration of Docker is no login, a damaged one is a config_error that shows nothing of it', async () => {
  using scratch = scratchDirectory('registry')
  assert.equal(await dockerCredentials('ghcr.io', { HOME: scratch.path }), undefined)
  for (const config of [
    '{"auths": {"ghcr.io": {"auth": "c2VjcmV0',
    { auths: { 'ghcr.io': { auth: base64('secret') } } },
  ]) {
    const environment = dockerConfig(scratch.path, config)
    await assert.rejects(
      dockerCredentials('ghcr.io', environment),
      error =>
        failsWith('config_error', scratch.path)(error) &&
        !/secret|c2Vj/.test(`${JSON.stringify(error)}${Object(error).cause}`),
    )
  }
})

test('the helper of a host comes before the store of all, and that before the file', async () => {
  using scratch = scratchDirectory('registry')
  const environment = dockerConfig(scratch.path, {
    auths: { 'file.example': { auth: base64('file:x') }, 'ghcr.io': { auth: base64('file:x') } },
    credHelpers: { 'ghcr.io': 'own' },
    credsStore: 'all',
  })
  helper(scratch.path, 'own', `read server; echo "{\\"Username\\":\\"own\\",\\"Secret\\":\\"$1 $server\\"}"`)
  helper(
    scratch.path,
    'all',
    `read server; case $server in
      https://index.docker.io/v1/) echo '{"Username":"<token>","Secret":"identity"}';;
      *) echo 'credentials not found in native keychain'; exit 1;;
    esac`,
  )
  assert.deepEqual(await dockerCredentials('ghcr.io', environment), {
    kind: 'basic',
    username: 'own',
    password: 'get ghcr.io',
  })
  assert.deepEqual(await dockerCredentials('docker.io', environment), {
    kind: 'identityToken',
    token: 'identity',
  })
  assert.deepEqual(await dockerCredentials('file.example', environment), {
    kind: 'basic',
    username: 'file',
    password: 'x',
  })
  assert.equal(await dockerCredentials('other.example', environment), undefined)
})

test('a helper that is missing, fails, floods or prints no JSON is a config_error without its output', async () => {
  using scratch = scratchDirectory('registry')
  const environment = { PATH: `${scratch.path}:${process.env['PATH']}` }
  helper(scratch.path, 'fails', 'echo secret; exit 3')
  helper(scratch.path, 'floods', 'exec yes secret')
  helper(scratch.path, 'text', 'echo secret')
  helper(scratch.path, 'half', `echo '{"Username":"secret"}'`)
  helper(scratch.path, 'deaf', `exec 0<&-; exec echo '{"Username":"u","Secret":"p"}'`)
  for (const name of ['missing', 'fails', 'floods', 'text', 'half', '../x', 'a/b', ''])
    await assert.rejects(
      askCredentialHelper(name, 'ghcr.io', { environment }),
      error => failsWith('config_error', name)(error) && !JSON.stringify(error).includes('secret'),
      name,
    )
  assert.ok(await askCredentialHelper('deaf', 'x'.repeat(1 << 20), { environment }))
})

test('a helper that never answers is ended with everything it started, at its deadline or at an abort', {
  timeout: 20_000,
}, async () => {
  using scratch = scratchDirectory('registry')
  const environment = { PATH: `${scratch.path}:${process.env['PATH']}` }
  const pids = join(scratch.path, 'pids')
  helper(scratch.path, 'hangs', `sleep 1000 & echo $$ $! > ${pids}; wait`)
  await assert.rejects(
    askCredentialHelper('hangs', 'ghcr.io', { environment, timeoutMs: 500 }),
    failsWith('timeout', 'docker-credential-hangs'),
  )
  const started = readFileSync(pids, 'utf8').trim().split(' ').map(Number)
  assert.equal(started.length, 2)
  // The kernel tells nobody but the parent when a process has ended.
  while (started.some(isRunning)) await setImmediate()
  const signal = AbortSignal.abort()
  await assert.rejects(askCredentialHelper('hangs', 'ghcr.io', { environment, signal }), failsWith('aborted'))
})

async function loginTo(registry: TestRegistry, home: string, password = registry.password): Promise<void> {
  const settings = parseRegistrySettings(registry.options, 'the test', 'config_error')
  const credentials = { kind: 'basic', username: registry.username, password } as const
  await login(home, registry.host, credentials, { settings, environment: {} })
}

for (const auth of ['basic', 'token'] as const)
  for (const tls of [false, true])
    test(`a login (${auth}${tls ? ', TLS' : ''}) is checked, kept for its owner only, used, and forgotten by logout`, async () => {
      using scratch = scratchDirectory('registry')
      const home = openHome(scratch.path)
      const file = join(home.path, 'credentials.json')
      await using registry = await startRegistry({ auth, tls })
      await assert.rejects(loginTo(registry, home.path, 'wrong'), failsWith('unauthenticated', registry.host))
      assert.equal(existsSync(file), false)

      await loginTo(registry, home.path)
      assert.equal(statSync(file).mode & 0o777, 0o600)
      assert.deepEqual(storedRegistries(home.path), [registry.host])
      const credentials = credentialsOfHome(home.path, {})
      await using client = openClient(registry.options, { credentials })
      const reference = parseReference(`${registry.host}/team/none:1`)
      await assert.rejects(client.resolve(reference), failsWith('not_found'))

      assert.equal(await logout(home.path, registry.host), true)
      assert.equal(await logout(home.path, registry.host), false)
      assert.equal(readFileSync(file, 'utf8').includes(registry.password), false)
      await using stranger = openClient(registry.options, { credentials })
      await assert.rejects(stranger.resolve(reference), failsWith('unauthenticated'))
    })

test("the home's own login wins over Docker's", async () => {
  using scratch = scratchDirectory('registry')
  const docker = join(scratch.path, 'docker')
  mkdirSync(docker)
  const home = openHome(join(scratch.path, 'home'))
  await using registry = await startRegistry({ auth: 'basic' })
  const environment = dockerConfig(docker, { auths: { [registry.host]: { auth: base64('other:x') } } })
  const source = credentialsOfHome(home.path, environment)
  assert.deepEqual(await source(registry.host), { kind: 'basic', username: 'other', password: 'x' })
  await loginTo(registry, home.path)
  const { username, password } = registry
  assert.deepEqual(await source(registry.host), { kind: 'basic', username, password })
})

test('logins of several registries at once are all kept', async () => {
  using scratch = scratchDirectory('registry')
  const home = openHome(scratch.path)
  const registries = await Promise.all(Array.from({ length: 4 }, () => startRegistry({ auth: 'basic' })))
  try {
    await Promise.all(registries.map(registry => loginTo(registry, home.path)))
    assert.deepEqual(storedRegistries(home.path), registries.map(({ host }) => host).sort())
  } finally {
    await Promise.all(registries.map(registry => registry[Symbol.asyncDispose]()))
  }
})

test('a store that others may read, or that is damaged, is refused without showing what is in it', async () => {
  using scratch = scratchDirectory('registry')
  const home = openHome(scratch.path)
  const file = join(home.path, 'credentials.json')
  const source = credentialsOfHome(home.path, {})
  const quiet = (code: string) => (error: unknown) =>
    failsWith(code, file)(error) && !/hunter2/.test(`${JSON.stringify(error)}${Object(error).cause}`)
  writeFileSync(
    file,
    '{"version":1,"registries":{"ghcr.io":{"kind":"basic","username":"u","password":"hunter2"}}}',
  )
  chmodSync(file, 0o644)
  await assert.rejects(source('ghcr.io'), quiet('permission_denied'))
  chmodSync(file, 0o600)
  assert.ok(await source('ghcr.io'))
  assert.equal(await source('__proto__'), undefined)
  for (const text of [
    '{"hunter2',
    '[]',
    '{"version":2}',
    '{"version":1,"registries":{"ghcr.io":{"password":"hunter2"}}}',
  ]) {
    writeFileSync(file, text)
    await assert.rejects(source('ghcr.io'), quiet('config_error'))
  }
})

test('logging in to what is no host, or to where nobody asks for credentials', async () => {
  using scratch = scratchDirectory('registry')
  const home = openHome(scratch.path)
  const settings = parseRegistrySettings({}, 'the test', 'config_error')
  const credentials = { kind: 'basic', username: 'u', password: 'p' } as const
  for (const host of ['https://ghcr.io', 'ghcr.io/owner', '', 'a b'])
    await assert.rejects(
      login(home.path, host, credentials, { settings }),
      failsWith('invalid_argument', 'HOST'),
    )
  await using front = await startFront()
  front.answer = ({ reply }) => reply(404)
  const plain = parseRegistrySettings(
    { registries: { [front.host]: { transport: 'http' } } },
    'test',
    'config_error',
  )
  await assert.rejects(login(home.path, front.host, credentials, { settings: plain }), failsWith('not_found'))
  assert.deepEqual(storedRegistries(home.path), [])
})
