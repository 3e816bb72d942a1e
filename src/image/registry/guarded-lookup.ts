import { type LookupAddress, lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { type AddressReach, mayLead, reachOfAddress } from './addresses.ts'

/** A server led to an address that it may not lead to. */
export class InwardError extends Error {
  readonly hostname: string

  constructor(hostname: string, reach: AddressReach) {
    super(`${hostname}, a ${names[reach]} address`)
    this.hostname = hostname
  }
}

const names = { public: 'public', private: 'private', loopback: 'loopback', linkLocal: 'link-local' } as const

/**
 * Resolves names for a connection that a server asked for (a redirect, an authentication realm), and fails with `InwardError`
 * when an address is one that a server at `ledBy` may not lead to. The connection is made to the very addresses that were checked.
 */
export function guardedLookup(ledBy: AddressReach): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '')
      try {
        checkReach(hostname, ledBy, addresses.map(reachOf))
      } catch (refusal) {
        return callback(refusal as InwardError, '')
      }
      const [first] = addresses
      if (options.all || first === undefined) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

/** Throws `InwardError` unless a server at `ledBy` may lead to addresses of all these reaches. */
export function checkReach(hostname: string, ledBy: AddressReach, reaches: readonly AddressReach[]): void {
  const refused = reaches.find(reach => !mayLead(ledBy, reach))
  if (refused !== undefined) throw new InwardError(hostname, refused)
}

function reachOf({ address }: LookupAddress): AddressReach {
  return reachOfAddress(address) ?? 'public'
}
