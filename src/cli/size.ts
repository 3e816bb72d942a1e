import { InvalidArgumentError } from 'commander'

const mibPerUnit: Readonly<Record<string, number>> = { m: 1, g: 1024, t: 1024 * 1024 }

/** `512`, `512m`, `512MiB`, `1g`, `1.5g`: binary units, MiB where none is given. */
export function parseSizeMib(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([mgt])(?:i?b)?)?$/i.exec(text.trim())
  if (match === null) throw new InvalidArgumentError('Expected a size such as 512, 512m or 1g.')
  const [, number = '', unit = 'm'] = match
  const sizeMib = Number(number) * (mibPerUnit[unit.toLowerCase()] ?? 1)
  if (!Number.isSafeInteger(sizeMib) || sizeMib < 1) {
    throw new InvalidArgumentError('Expected a whole number of MiB, at least 1.')
  }
  return sizeMib
}

export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 0xffff)
    throw new InvalidArgumentError('Expected a port from 1 to 65535.')
  return port
}

/** A count such as that of processors or lines. */
export function parseCount(text: string): number {
  const count = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < 1) {
    throw new InvalidArgumentError('Expected a whole number, at least 1.')
  }
  return count
}
