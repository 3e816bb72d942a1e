import { after, before } from 'node:test'
import type { TestRegistry } from './registry.ts'

/** Starts a registry, with what belongs to it, before the tests of the file that calls it, and ends it after them. Gives what was started, once the tests run. */
export function startedForThisFile<T extends { readonly registry: TestRegistry }>(
  start: () => Promise<T>,
): () => T {
  let started: T | undefined
  before(async () => {
    started = await start()
  })
  after(() => started?.registry[Symbol.asyncDispose]())
  return () => {
    if (started === undefined) throw new Error('the registry was not started yet')
    return started
  }
}
