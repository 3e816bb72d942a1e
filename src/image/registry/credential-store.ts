import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CofferError, systemErrorCode } from '../../errors.ts'
import { writeFileAtomic } from '../../state/atomic-file.ts'
import { acquireLock } from '../../state/lock.ts'
import type { Credentials } from './credentials.ts'

/** Coffer's own store of logins: `credentials.json` of the home, which only its owner may read. */
type Stored = { readonly [registry: string]: Credentials }

const maxFileBytes = 1 << 20

/** Throws `config_error` for a file that is damaged, `permission_denied` for one that others can read. */
export function storedCredentials(homePath: string, registry: string): Credentials | undefined {
  const stored = readStore(homePath)
  return Object.hasOwn(stored, registry) ? stored[registry] : undefined
}

/** The registries there is a login for. */
export function storedRegistries(homePath: string): string[] {
  return Object.keys(readStore(homePath)).sort()
}

export async function storeCredentials(
  homePath: string,
  registry: string,
  credentials: Credentials,
): Promise<void> {
  await changeStore(homePath, stored => ({ ...stored, [registry]: credentials }))
}

/** Whether there were any. */
export async function forgetCredentials(homePath: string, registry: string): Promise<boolean> {
  let found = false
  await changeStore(homePath, stored => {
    const { [registry]: credentials, ...others } = stored
    found = credentials !== undefined
    return found ? others : undefined
  })
  return found
}

async function changeStore(homePath: string, change: (stored: Stored) => Stored | undefined): Promise<void> {
  using _lock = await acquireLock(join(homePath, 'locks', 'credentials'))
  const changed = change(readStore(homePath))
  if (changed === undefined) return
  writeFileAtomic(
    storeFile(homePath),
    `${JSON.stringify({ version: 1, registries: changed }, undefined, 2)}\n`,
    {
      durable: true,
      mode: 0o600,
    },
  )
}

function readStore(homePath: string): Stored {
  const file = storeFile(homePath)
  try {
    const { mode, size } = statSync(file)
    if ((mode & 0o077) !== 0)
      throw new CofferError('permission_denied', `cannot use ${file}: others than its owner may read it`, {
        hint: `Make it private (chmod 600 ${file}) and change the passwords in it.`,
      })
    if (size > maxFileBytes) throw damaged(file, `it has more than ${maxFileBytes} bytes`)
    return parseStore(file, readFileSync(file, 'utf8'))
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return {}
    if (error instanceof CofferError) throw error
    throw damaged(file, systemErrorCode(error) ?? 'it cannot be read')
  }
}

// No parse error becomes a cause: its message quotes the text, and the text is passwords.
function parseStore(file: string, text: string): Stored {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damaged(file, 'it is not valid JSON')
  }
  const registries = member(value, 'registries')
  if (member(value, 'version') !== 1) throw damaged(file, 'it is of another version')
  if (typeof registries !== 'object' || registries === null) throw damaged(file, 'it has no registries')
  return Object.fromEntries(
    Object.entries(registries).map(([registry, item]) => {
      const credentials = parseCredentials(item)
      if (credentials === undefined) throw damaged(file, `what it has for ${registry} is no login`)
      return [registry, credentials]
    }),
  )
}

function parseCredentials(value: unknown): Credentials | undefined {
  const kind = member(value, 'kind')
  const [username, password, token] = ['username', 'password', 'token'].map(name => member(value, name))
  if (kind === 'basic' && typeof username === 'string' && typeof password === 'string')
    return { kind, username, password }
  if ((kind === 'identityToken' || kind === 'bearer') && typeof token === 'string') return { kind, token }
  return undefined
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}

function storeFile(homePath: string): string {
  return join(homePath, 'credentials.json')
}

function damaged(file: string, problem: string): CofferError {
  return new CofferError('config_error', `cannot use ${file}: ${problem}`, {
    hint: 'Remove the file and log in again (coffer login HOST).',
  })
}
