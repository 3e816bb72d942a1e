import { InvalidArgumentError } from 'commander'

/** Bytes that leave a command instead of reaching it. None: nothing leaves it. */
export type DetachKeys = readonly number[]

export const defaultDetachKeys = 'ctrl-p,ctrl-q'

/** Docker's grammar: single characters or `ctrl-` with a letter or one of `@[\]^_`, divided by commas. Empty: no keys. */
export function parseDetachKeys(text: string): DetachKeys {
  return text === '' ? [] : text.split(',').map(byteOfKey)
}

function byteOfKey(key: string): number {
  // Before the control keys: what ctrl makes of a character is its number without the upper bits.
  if (/^[\u0020-\u007e]$/.test(key)) return key.charCodeAt(0)
  const [, character] = /^ctrl-([a-z@[\\\]^_])$/i.exec(key) ?? []
  if (character === undefined)
    throw new InvalidArgumentError(`'${key}' is no key; expected keys such as ${defaultDetachKeys} or a,b.`)
  return character.toUpperCase().charCodeAt(0) & 0x1f
}

/** Finds the keys in typed bytes, however those are cut into pieces. */
export class DetachKeyFilter {
  readonly #keys: DetachKeys
  /** How many of the keys were typed last: they are held back until it is clear what they are. */
  #held = 0

  constructor(keys: DetachKeys) {
    this.#keys = keys
  }

  /** What to pass on of `chunk` and of what was held back. Nothing after the keys belongs to the command. */
  push(chunk: Uint8Array): { readonly forward: Buffer; readonly found: boolean } {
    const typed = Buffer.concat([Buffer.from(this.#keys.slice(0, this.#held)), chunk])
    for (let at = this.#held; at < typed.length; at++) {
      this.#held = this.#heldWith(typed[at] ?? 0)
      if (this.#keys.length === 0 || this.#held < this.#keys.length) continue
      this.#held = 0
      return { forward: typed.subarray(0, at + 1 - this.#keys.length), found: true }
    }
    return { forward: typed.subarray(0, typed.length - this.#held), found: false }
  }

  /** What is held back at the end of the input, where it was not the keys. */
  rest(): Buffer {
    const rest = Buffer.from(this.#keys.slice(0, this.#held))
    this.#held = 0
    return rest
  }

  /** Of the held bytes and one more, as many of the last as the keys begin with: after `aa`, one more `a` still holds two. */
  #heldWith(byte: number): number {
    const last = [...this.#keys.slice(0, this.#held), byte]
    while (last.length > 0 && last.some((each, at) => each !== this.#keys[at])) last.shift()
    return last.length
  }
}
