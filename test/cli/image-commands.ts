import assert from 'node:assert/strict'
import type { TestRegistry } from '../registry/registry.ts'
import type { Coffer } from './coffer.ts'

export async function succeeds(on: Coffer, ...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await on.run(words)
  assert.equal(code, 0, `${words.join(' ')}: ${stderr}`)
  return stdout
}

/** What is written to standard error by a command line that fails, which has a hint. */
export async function fails(on: Coffer, ...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await on.run(words)
  assert.deepEqual([code, stdout], [125, ''], words.join(' '))
  assert.match(stderr, /^(?:coffer: .+ …\n)*coffer: .+\n {2}hint: .+\n$/)
  return stderr
}

export async function logIn(on: Coffer, registry: TestRegistry, host = registry.host): Promise<void> {
  const words = ['login', '-u', registry.username, '--password-stdin', host]
  const { code, stderr } = await on.run(words, registry.password)
  assert.equal(code, 0, stderr)
}

/** As ids are shown. */
export const short = (digest: string): string => digest.slice('sha256:'.length).slice(0, 12)
