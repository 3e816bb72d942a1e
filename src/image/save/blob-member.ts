import { Buffer } from 'node:buffer'
import { CofferError } from '../../errors.ts'
import type { ContentStore } from '../content.ts'
import { type Digest, digestAlgorithm, digestHex } from '../digest.ts'
import type { TarMember } from './tar-writer.ts'

const plain = {
  linkPath: '',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtimeSeconds: 0,
  mtimeNanoseconds: 0,
  xattrs: undefined,
  major: 0,
  minor: 0,
} as const

export function fileMember(path: string, content: Uint8Array): TarMember {
  return { ...plain, kind: 'file', path, size: content.length, content }
}

export function directoryMember(path: string): TarMember {
  return { ...plain, kind: 'directory', path, mode: 0o755, size: 0, content: Buffer.alloc(0) }
}

/** A blob under its name in an OCI layout. Throws `not_found`. */
export function blobMember(digest: Digest, content: ContentStore): TarMember {
  const size = content.size(digest)
  if (size === undefined)
    throw new CofferError('not_found', `blob ${digest} of the image is not in the home`, {
      hint: 'Pull the image again.',
      details: { digest },
    })
  return { ...plain, kind: 'file', path: blobPath(digest), size, content: content.open(digest) }
}

/** `blobs/sha256/HEX` */
export function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`
}
