/** What is set in an image's configuration in place of what is there. What is left out stays. */
export type ConfigChanges = {
  readonly entrypoint?: readonly string[] | undefined
  readonly command?: readonly string[] | undefined
  /** Added to what is there; a name that is there gets the new value. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** A relative one counts from the one that is there. */
  readonly workdir?: string | undefined
  /** `name|uid[:group|gid]` */
  readonly user?: string | undefined
  /** Added to what is there. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** `80/tcp`. Added to what is there. */
  readonly exposedPorts?: readonly string[] | undefined
  /** Added to what is there. */
  readonly volumes?: readonly string[] | undefined
  readonly stopSignal?: string | undefined
}

/** The `config` of an OCI image configuration with changes. What nobody here knows of it stays. */
export function changeConfig(
  config: Readonly<Record<string, unknown>>,
  changes: ConfigChanges,
): Record<string, unknown> {
  const changed: Record<string, unknown> = { ...config }
  if (changes.entrypoint !== undefined) {
    changed['Entrypoint'] = changes.entrypoint
    // As in a Dockerfile: the command of the image below would be arguments of a program it was not meant for.
    if (changes.command === undefined) delete changed['Cmd']
  }
  if (changes.command !== undefined) changed['Cmd'] = changes.command
  if (changes.env !== undefined) changed['Env'] = mergedEnvironment(config['Env'], changes.env)
  if (changes.workdir !== undefined) changed['WorkingDir'] = joined(config['WorkingDir'], changes.workdir)
  if (changes.user !== undefined) changed['User'] = changes.user
  if (changes.stopSignal !== undefined) changed['StopSignal'] = changes.stopSignal
  if (changes.labels !== undefined) changed['Labels'] = { ...objectOf(config['Labels']), ...changes.labels }
  if (changes.exposedPorts !== undefined)
    changed['ExposedPorts'] = withKeys(config['ExposedPorts'], changes.exposedPorts)
  if (changes.volumes !== undefined) changed['Volumes'] = withKeys(config['Volumes'], changes.volumes)
  return changed
}

function mergedEnvironment(base: unknown, added: Readonly<Record<string, string>>): string[] {
  const entries = Array.isArray(base) ? base.filter(entry => typeof entry === 'string') : []
  const kept = entries.filter(entry => !Object.hasOwn(added, entry.split('=', 1)[0] ?? ''))
  return [...kept, ...Object.entries(added).map(([name, value]) => `${name}=${value}`)]
}

function joined(base: unknown, path: string): string {
  if (path.startsWith('/')) return path
  const start = typeof base === 'string' && base !== '' ? base : '/'
  return `${start.replace(/\/+$/, '')}/${path}`
}

function objectOf(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}

function withKeys(base: unknown, keys: readonly string[]): object {
  return { ...objectOf(base), ...Object.fromEntries(keys.map(key => [key, {}])) }
}
