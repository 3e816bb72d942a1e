import { CofferError } from '../../errors.ts'
import { isRegistryHost } from '../reference.ts'
import { forgetCredentials, storeCredentials } from './credential-store.ts'
import type { Credentials } from './credentials.ts'
import { Endpoints } from './endpoints.ts'
import type { Step } from './failure.ts'
import { defaultRetryPolicy, withRetries } from './retry.ts'
import { dockerHubHost, type RegistrySettings } from './settings.ts'
import { defaultTimeouts, Transport } from './transport.ts'

export type LoginOptions = {
  readonly settings: RegistrySettings
  readonly signal?: AbortSignal | undefined
  readonly environment?: NodeJS.ProcessEnv
}

/** Has the registry check the credentials, then keeps them in the home. Throws `unauthenticated` if it does not accept them. */
export async function login(
  homePath: string,
  registry: string,
  credentials: Credentials,
  options: LoginOptions,
): Promise<void> {
  const name = registryName(registry)
  await checkCredentials(name, credentials, options)
  await storeCredentials(homePath, name, credentials)
}

/** Forgets what `login` kept. Whether there was anything; what Docker keeps is Docker's. */
export async function logout(homePath: string, registry: string): Promise<boolean> {
  return await forgetCredentials(homePath, registryName(registry))
}

async function checkCredentials(
  registry: string,
  credentials: Credentials,
  { settings, signal, environment = process.env }: LoginOptions,
): Promise<void> {
  await using transport = new Transport(settings, defaultTimeouts, environment)
  const policy = { ...defaultRetryPolicy, attempts: 3 }
  const endpoints = new Endpoints({ transport, settings, source: async () => credentials, policy })
  const host = endpoints.host(registry)
  const step: Step = { what: `log in to ${registry}`, host: registry, code: 'upstream_unavailable' }
  const response = await withRetries(policy, step, signal, () =>
    host.request(step, { path: '', scopes: [], signal, expect: [200] }),
  )
  response.discard()
}

function registryName(registry: string): string {
  if (!isRegistryHost(registry))
    throw new CofferError('invalid_argument', `${JSON.stringify(registry.slice(0, 100))} is no registry`, {
      hint: 'A registry is HOST[:PORT], without a scheme or a path: ghcr.io, registry.example.com:5000.',
    })
  return ['index.docker.io', dockerHubHost].includes(registry) ? 'docker.io' : registry
}
