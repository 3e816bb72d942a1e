import { CofferError } from '../errors.ts'
import { type Digest, isDigest } from './digest.ts'

/** Which image is meant, with nothing left to guess. Without a digest there is always a tag. */
export type ImageReference = {
  /** `docker.io`, `ghcr.io`, `localhost:5000`, `[::1]:5000`: never with a scheme or a path. */
  readonly registry: string
  /** `library/alpine` */
  readonly repository: string
  readonly tag?: string
  readonly digest?: Digest
}

const dockerRegistry = 'docker.io'
const officialPrefix = 'library/'
const maxRepositoryLength = 255
// Every part has a bound, so that their sum has one: host and port, repository, tag, digest, separators.
const maxReferenceLength = 1024

// The grammar of github.com/distribution/reference, which Docker, Podman and containerd share.
const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const domain = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`
const alphanumeric = '[a-z0-9]+'
const pathComponent = `${alphanumeric}(?:(?:\\.|_|__|-+)${alphanumeric})*`
const path = `${pathComponent}(?:/${pathComponent})*`
const tag = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}'
const referencePattern = new RegExp(`^(${domain})/(${path})(?::(${tag}))?(?:@(.+))?$`)
const registryPattern = new RegExp(`^${domain}$`)

/**
 * Reads an image reference exactly as Docker does: `alpine` is `docker.io/library/alpine:latest`.
 * Throws `invalid_argument` saying what is wrong with it.
 */
export function parseReference(text: string): ImageReference {
  if (text.length > maxReferenceLength)
    throw invalidReference(text, `it has more than ${maxReferenceLength} characters`)
  if (/^[0-9a-f]{64}$/.test(text))
    throw invalidReference(text, 'it is the id of an image, and ids name no image in a registry')
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) throw invalidReference(text, 'it has a scheme', schemeHint)
  const [registry, remainder] = splitRegistry(text)
  const repository = remainder.split(/[:@]/, 1)[0] ?? ''
  if (repository !== repository.toLowerCase())
    throw invalidReference(
      text,
      'the name of its repository has upper-case letters',
      'Write it in lower case.',
    )
  const match = referencePattern.exec(`${registry}/${remainder}`)
  if (match === null) throw invalidReference(text, 'it does not have the form of one', formHint)
  return checkedReference(text, match)
}

/** The full form: `docker.io/library/alpine:latest`. `parseReference` of it gives the reference back. */
export function formatReference(reference: ImageReference): string {
  return `${reference.registry}/${reference.repository}${suffix(reference)}`
}

/** The short form that Docker shows: `alpine:latest`, `grafana/loki:3`, `ghcr.io/a/b:1`. Gives the same reference when read. */
export function familiarReference(reference: ImageReference): string {
  const full = formatReference(reference)
  if (reference.registry !== dockerRegistry) return full
  const short = [reference.repository.replace(/^library\/(?=[^/]+$)/, ''), reference.repository]
  // A repository of Docker Hub may look like a host (`docker.io/my.name/app`): then the short form would mean another image.
  const name = short.find(candidate => {
    const [registry, remainder] = splitRegistry(candidate)
    return registry === dockerRegistry && remainder === reference.repository
  })
  return name === undefined ? full : `${name}${suffix(reference)}`
}

/**
 * What a name may mean, in the order to be tried. A name with a registry means one image. A short name is looked up in
 * `searchRegistries` and then in Docker Hub, unless that was among them.
 */
export function referenceCandidates(
  text: string,
  searchRegistries: readonly string[] = [],
): ImageReference[] {
  const reference = parseReference(text)
  if (!isShortName(text)) return [reference]
  const registries = [...new Set([...searchRegistries, dockerRegistry])]
  return registries.map(registry =>
    registry === dockerRegistry ? reference : parseReference(`${registry}/${text}`),
  )
}

/** Whether `text` is `HOST` or `HOST:PORT`, without a scheme or path, and something that could be connected to. */
export function isRegistryHost(text: string): boolean {
  // The grammar lets pass what is no address: `999.1.1.1`, `[:]`, ports beyond 65535.
  return text.length <= 262 && registryPattern.test(text) && URL.canParse(`https://${text}`)
}

/** Whether the name leaves its registry open. */
export function isShortName(text: string): boolean {
  const first = text.split('/', 1)[0] ?? ''
  return first === text || !looksLikeRegistry(first)
}

function splitRegistry(text: string): [registry: string, remainder: string] {
  const slash = text.indexOf('/')
  const first = text.slice(0, slash)
  // Without a slash, `name:5000` is a name with a tag and no registry.
  const named = slash !== -1 && looksLikeRegistry(first)
  const registry = !named || first === 'index.docker.io' ? dockerRegistry : first
  const remainder = named ? text.slice(slash + 1) : text
  const official = registry === dockerRegistry && !remainder.includes('/')
  return [registry, official ? `${officialPrefix}${remainder}` : remainder]
}

function looksLikeRegistry(first: string): boolean {
  return first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase()
}

function checkedReference(text: string, match: RegExpExecArray): ImageReference {
  const [, registry = '', repository = '', tag, digest] = match
  if (repository.length > maxRepositoryLength)
    throw invalidReference(text, `its repository has more than ${maxRepositoryLength} characters`)
  if (!isRegistryHost(registry)) throw invalidReference(text, 'its registry is no host and port')
  if (digest === undefined) return { registry, repository, tag: tag ?? 'latest' }
  if (!isDigest(digest))
    throw invalidReference(
      text,
      'what follows @ is no digest',
      'A digest is sha256: and 64 hexadecimal digits.',
    )
  return { registry, repository, ...(tag === undefined ? {} : { tag }), digest }
}

function suffix({ tag, digest }: ImageReference): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

const formHint = 'An image is named [HOST[:PORT]/]NAME[:TAG][@DIGEST], for example ghcr.io/owner/app:1.2.'
const schemeHint = 'Leave https:// out; http for a host is set in registries.json of the home.'

function invalidReference(text: string, problem: string, hint = formHint): CofferError {
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text
  return new CofferError('invalid_argument', `${JSON.stringify(shown)} is no image reference: ${problem}`, {
    hint,
  })
}
