import { type CofferError, isCofferError } from '../../errors.ts'
import type { ImageReference } from '../reference.ts'
import type { CredentialSource } from './credentials.ts'
import { RegistryHost } from './registry-host.ts'
import type { RetryPolicy } from './retry.ts'
import { type RegistrySettings, settingsOf } from './settings.ts'
import type { Transport } from './transport.ts'

/** Where a repository can be asked for. */
export type Endpoint = {
  readonly host: RegistryHost
  readonly repository: string
  readonly policy: RetryPolicy
  readonly isMirror: boolean
}

/** The registries that were talked to, and which of them to ask for what. */
export class Endpoints {
  readonly #transport: Transport
  readonly #settings: RegistrySettings
  readonly #source: CredentialSource
  readonly #policy: RetryPolicy
  readonly #hosts = new Map<string, RegistryHost>()
  readonly #failedMirrors = new Set<RegistryHost>()

  constructor(options: {
    transport: Transport
    settings: RegistrySettings
    source: CredentialSource
    policy: RetryPolicy
  }) {
    this.#transport = options.transport
    this.#settings = options.settings
    this.#source = options.source
    this.#policy = options.policy
  }

  /** The registry of a reference itself. */
  origin({ registry, repository }: ImageReference): Endpoint {
    return { host: this.host(registry), repository, policy: this.#policy, isMirror: false }
  }

  /** For reading: the mirrors that have not failed, then the registry itself. */
  readable(reference: ImageReference): Endpoint[] {
    const { mirrors } = settingsOf(this.#settings, reference.registry)
    // A mirror is not insisted on: the registry itself stands behind it.
    const policy = { ...this.#policy, attempts: Math.min(2, this.#policy.attempts) }
    const endpoints = mirrors.map(({ host, prefix }) => ({
      host: this.host(host),
      repository: prefix === '' ? reference.repository : `${prefix}/${reference.repository}`,
      policy,
      isMirror: true,
    }))
    return [...endpoints.filter(({ host }) => !this.#failedMirrors.has(host)), this.origin(reference)]
  }

  /** Asks the endpoints in turn until one answers. Throws what the last one, the registry itself, said. */
  async read<T>(reference: ImageReference, ask: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    const endpoints = this.readable(reference)
    for (const endpoint of endpoints.slice(0, -1)) {
      try {
        return await ask(endpoint)
      } catch (error) {
        this.leaveMirror(endpoint, error)
      }
    }
    return await ask(this.origin(reference))
  }

  /** Throws what no other endpoint can mend, and remembers a mirror that is of no use for the life of this client. */
  leaveMirror(endpoint: Endpoint, error: unknown): asserts error is CofferError {
    if (!isCofferError(error) || error.code === 'aborted' || error.code === 'config_error') throw error
    // Not to have something is no failure of a mirror.
    if (error.code !== 'not_found') this.#failedMirrors.add(endpoint.host)
  }

  host(name: string): RegistryHost {
    let host = this.#hosts.get(name)
    if (host === undefined) {
      host = new RegistryHost({
        transport: this.#transport,
        name,
        settings: settingsOf(this.#settings, name),
        source: this.#source,
      })
      this.#hosts.set(name, host)
    }
    return host
  }
}
