import { BlockList, isIP } from 'node:net'
import { CofferError } from '../../errors.ts'
import { reachOfHost } from './addresses.ts'

/**
 * The proxy the environment names for a URL, by the rules of curl and Go: HTTPS_PROXY or HTTP_PROXY in either case, not for hosts
 * in NO_PROXY, and never for this machine. Throws `config_error` for what is no address of a proxy.
 */
export function proxyFor(url: URL, environment: NodeJS.ProcessEnv): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const value = environment[name.toLowerCase()] || environment[name]
  if (!value || reachOfHost(url.hostname) === 'loopback') return undefined
  const exceptions = environment['no_proxy'] || environment['NO_PROXY'] || ''
  if (exceptions.split(/[\s,]+/).some(exception => matches(exception.toLowerCase(), url))) return undefined
  const text = /^[a-z0-9+.-]+:\/\//i.test(value) ? value : `http://${value}`
  const proxy = URL.parse(text)
  if (proxy === null || !/^https?:$/.test(proxy.protocol))
    // The value is not shown: it may hold a password.
    throw new CofferError('config_error', `${name} is no http:// or https:// address of a proxy`)
  return proxy
}

function matches(exception: string, url: URL): boolean {
  if (exception === '') return false
  if (exception === '*') return true
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
  const [, name = '', port] =
    /^(.*?)(?::(\d+))?$/.exec(isIP(exception) === 6 ? `${exception}` : exception) ?? []
  if (isIP(exception) === 6) return host === exception
  const urlPort = url.port || (url.protocol === 'https:' ? '443' : '80')
  if (port !== undefined && port !== urlPort) return false
  if (isIP(host) !== 0) return host === name || inNetwork(host, name)
  const domain = name.replace(/^\*?\./, '')
  return host === domain || host.endsWith(`.${domain}`)
}

function inNetwork(address: string, network: string): boolean {
  const [, base = '', bits = ''] = /^(.+)\/(\d{1,3})$/.exec(network) ?? []
  const family = isIP(base)
  if (family === 0 || isIP(address) !== family || Number(bits) > (family === 4 ? 32 : 128)) return false
  const name = family === 4 ? 'ipv4' : 'ipv6'
  const block = new BlockList()
  block.addSubnet(base, Number(bits), name)
  return block.check(address, name)
}
