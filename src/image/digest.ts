import { createHash, type Hash } from 'node:crypto'
import { CofferError } from '../errors.ts'

declare const digestBrand: unique symbol

/** `sha256:` with 64 or `sha512:` with 128 hexadecimal digits, lower case: the name of content by its hash. */
export type Digest = string & { readonly [digestBrand]: true }

const hexLengths = { sha256: 64, sha512: 128 } as const

/** Reads a digest. Throws `invalid_argument` for another algorithm, length or alphabet. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  const shown = text.length > 140 ? `${text.slice(0, 140)}…` : text
  throw new CofferError('invalid_argument', `${JSON.stringify(shown)} is no digest`, {
    hint: 'A digest is sha256: and 64 hexadecimal digits in lower case, or sha512: and 128.',
  })
}

export function isDigest(text: string): text is Digest {
  const separator = text.indexOf(':')
  const algorithm = text.slice(0, separator)
  if (algorithm !== 'sha256' && algorithm !== 'sha512') return false
  const hex = text.slice(separator + 1)
  return hex.length === hexLengths[algorithm] && /^[0-9a-f]+$/.test(hex)
}

export function digestAlgorithm(digest: Digest): 'sha256' | 'sha512' {
  return digest.startsWith('sha256:') ? 'sha256' : 'sha512'
}

/** The part after the algorithm, safe as a file name. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

export function digestOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Digest {
  return parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`)
}

/** Counts and hashes bytes as they pass, to be compared with what was announced. Keeps its state over cut connections. */
export class DigestVerifier {
  readonly digest: Digest
  readonly size: number
  #hash: Hash
  #bytes = 0

  constructor(expected: { readonly digest: Digest; readonly size: number }) {
    this.digest = expected.digest
    this.size = expected.size
    this.#hash = createHash(digestAlgorithm(expected.digest))
  }

  /** How many bytes were seen. */
  get bytes(): number {
    return this.#bytes
  }

  /** Throws `image_pull_failed` at the first byte beyond the announced size. */
  update(chunk: Uint8Array): void {
    if (this.#bytes + chunk.length > this.size)
      throw mismatch(this.digest, `it is longer than the ${this.size} bytes announced`)
    this.#hash.update(chunk)
    this.#bytes += chunk.length
  }

  /** To be called once, at the end. Throws `image_pull_failed` unless exactly the announced bytes were seen. */
  verify(): void {
    if (this.#bytes !== this.size)
      throw mismatch(this.digest, `it has ${this.#bytes} bytes, ${this.size} were announced`)
    const actual = `${digestAlgorithm(this.digest)}:${this.#hash.digest('hex')}`
    if (actual !== this.digest) throw mismatch(this.digest, `its digest is ${actual}`)
  }

  /** Forgets what was seen. */
  reset(): void {
    this.#hash = createHash(digestAlgorithm(this.digest))
    this.#bytes = 0
  }
}

/** Passes the chunks of `source` on; throws at the end, or at the first byte too many, unless they are what was announced. */
export async function* verified(
  source: AsyncIterable<Uint8Array>,
  expected: { readonly digest: Digest; readonly size: number },
): AsyncGenerator<Uint8Array> {
  const verifier = new DigestVerifier(expected)
  for await (const chunk of source) {
    verifier.update(chunk)
    yield chunk
  }
  verifier.verify()
}

function mismatch(digest: Digest, problem: string): CofferError {
  return new CofferError('image_pull_failed', `blob ${digest} is not what it should be: ${problem}`, {
    hint: 'The source, or something on the way from it, sent wrong bytes. Nothing of them was used.',
    details: { digest, reason: 'digest_mismatch' },
  })
}
