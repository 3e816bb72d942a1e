import { randomBytes } from 'node:crypto'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const idLength = 12

/** A new id: 12 characters, base62, 71 bits. */
export function createId(): string {
  let id = ''
  while (id.length < idLength) {
    for (const byte of randomBytes(idLength)) {
      // 248 is the largest multiple of 62 in a byte: what lies above would favour the first characters.
      if (byte < 248 && id.length < idLength) id += alphabet[byte % 62]
    }
  }
  return id
}

export function isId(text: string): boolean {
  return /^[0-9A-Za-z]{12}$/.test(text)
}
