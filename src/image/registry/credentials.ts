import { storedCredentials } from './credential-store.ts'
import { dockerCredentials } from './docker-config.ts'

/** What convinces a registry. `identityToken` is exchanged for access tokens; `bearer` is itself such a token. */
export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identityToken'; readonly token: string }
  | { readonly kind: 'bearer'; readonly token: string }

/** Gives the credentials for a registry as it stands in image names, or undefined to ask it as nobody. */
export type CredentialSource = (registry: string, signal?: AbortSignal) => Promise<Credentials | undefined>

/** What `coffer login` stored in the home; else what Docker's configuration and credential helpers have. */
export function credentialsOfHome(
  homePath: string,
  environment: NodeJS.ProcessEnv = process.env,
): CredentialSource {
  return async (registry, signal) =>
    storedCredentials(homePath, registry) ?? (await dockerCredentials(registry, environment, signal))
}
