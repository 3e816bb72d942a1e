import { Buffer } from 'node:buffer'
import { CofferError } from '../../errors.ts'
import { showEntryPath } from '../layer/entry-path.ts'
import type { TarEntry, TarEntryKind } from '../layer/tar-entry.ts'
import { tarBlockBytes } from '../layer/tar-header.ts'
import { tarHeaders } from './tar-headers.ts'

/** What archives have types for. A name of a directory ends in a slash. */
export type TarMember = Omit<TarEntry, 'kind'> & { readonly kind: Exclude<TarEntryKind, 'socket'> }

const endBlocks = Buffer.alloc(2 * tarBlockBytes)
// Small pieces are joined: an archive of a million empty files must not be a million writes.
const pieceBytes = 64 * 1024

/**
 * A PAX archive of `members`, in their order; the same members give the same bytes. What fits into a ustar header stands there alone.
 *
 * @throws `invalid_argument` for a member that no archive can hold, or whose content is not as long as its size; what contents throw
 */
export async function* writeTar(
  members: AsyncIterable<TarMember> | Iterable<TarMember>,
): AsyncGenerator<Uint8Array, void, void> {
  let held: Uint8Array[] = []
  let heldBytes = 0
  const release = (): Buffer => {
    const piece = Buffer.concat(held)
    held = []
    heldBytes = 0
    return piece
  }
  for await (const member of members) {
    for await (const part of parts(member)) {
      // A copy: what is held may be a view of a buffer that its owner is about to fill anew.
      held.push(part.length < pieceBytes ? Uint8Array.from(part) : part)
      heldBytes += part.length
      if (heldBytes >= pieceBytes) yield release()
    }
  }
  held.push(endBlocks)
  yield release()
}

async function* parts(member: TarMember): AsyncGenerator<Uint8Array, void, void> {
  yield tarHeaders(member)
  if (member.kind !== 'file') return
  let bytes = 0
  const content = member.content instanceof Uint8Array ? [member.content] : member.content
  for await (const chunk of content) {
    bytes += chunk.length
    if (bytes > member.size) throw wrongSize(member, `more than ${member.size}`)
    yield chunk
  }
  if (bytes < member.size) throw wrongSize(member, `${bytes} instead of ${member.size}`)
  yield endBlocks.subarray(0, (tarBlockBytes - (bytes % tarBlockBytes)) % tarBlockBytes)
}

function wrongSize({ path }: TarMember, found: string): CofferError {
  return new CofferError('invalid_argument', `cannot archive ${showEntryPath(path)}: it has ${found} bytes`, {
    hint: 'It changed while it was read: try again when nothing writes to it.',
  })
}
