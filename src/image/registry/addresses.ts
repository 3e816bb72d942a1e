import { BlockList, isIP } from 'node:net'

/**
 * How far an address reaches: `public`, `private` (the networks of a site), `loopback` (this machine), `linkLocal` (also what
 * clouds serve credentials on).
 */
export type AddressReach = 'public' | 'private' | 'loopback' | 'linkLocal'

const lists = {
  loopback: ['127.0.0.0/8', '0.0.0.0/8', '::1/128', '::/128'],
  linkLocal: ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254/128'],
  private: [
    ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15', '192.0.0.0/24'],
    // Multicast, reserved and broadcast: no server is there.
    ...['224.0.0.0/4', '240.0.0.0/4', 'fc00::/7', 'fec0::/10', 'ff00::/8'],
  ],
} as const

const blocks = Object.entries(lists).map(([reach, networks]) => {
  const block = new BlockList()
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/')
    block.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return [reach as AddressReach, block] as const
})

/** `host` is an address as a URL or the resolver gives it; brackets are taken off. Undefined for a name. */
export function reachOfAddress(host: string): AddressReach | undefined {
  const address = host.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '')
  const family = isIP(address)
  if (family === 0) return undefined
  const inner = family === 6 ? embeddedIpv4(address) : undefined
  if (inner !== undefined) return reachOfAddress(inner)
  const found = blocks.find(([, block]) => block.check(address, family === 4 ? 'ipv4' : 'ipv6'))
  return found?.[0] ?? 'public'
}

/** The reach of a host of a URL as far as its text tells: addresses, and the names that always mean this machine. */
export function reachOfHost(host: string): AddressReach | undefined {
  if (/^(?:.+\.)?localhost\.?$/i.test(host)) return 'loopback'
  return reachOfAddress(host)
}

/**
 * Whether a server at an address of reach `from` may send a client to `to`. What is on the internet may not send it inwards: that
 * would use this machine to reach what only it can reach.
 */
export function mayLead(from: AddressReach, to: AddressReach): boolean {
  return to === 'public' || from === to || (from === 'loopback' && to === 'private')
}

/** The IPv4 address inside a mapped, NAT64 or 6to4 one, which reaches what that reaches. */
function embeddedIpv4(address: string): string | undefined {
  const groups = expand(address)
  const [first = 0, second = 0, third = 0] = groups
  const [seventh = 0, eighth = 0] = groups.slice(6)
  const leading = groups.slice(0, 5).every(group => group === 0)
  const mapped = leading && groups[5] === 0xffff
  // `::a.b.c.d` is deprecated; the unspecified address and loopback are not of it.
  const compatible = leading && groups[5] === 0 && (seventh !== 0 || eighth > 1)
  const nat64 = first === 0x64 && second === 0xff9b
  if (mapped || compatible || nat64) return dotted(seventh, eighth)
  return first === 0x2002 ? dotted(second, third) : undefined
}

function expand(address: string): number[] {
  // The parser of URLs knows all spellings and writes hexadecimal groups.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = text.split('::')
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map(group => Number.parseInt(group, 16))
  const [before, after] = [groups(head), groups(tail ?? '')]
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
