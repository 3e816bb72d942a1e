import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCofferError } from '../../errors.ts'
import { proxyFor } from './proxy.ts'

const proxy = 'http://proxy.example:3128'
const uses = (url: string, environment: NodeJS.ProcessEnv) => proxyFor(new URL(url), environment)?.href

test('a URL is reached through the proxy of its scheme, in either case', () => {
  const environment = { HTTPS_PROXY: proxy, http_proxy: 'http://other.example' }
  assert.equal(uses('https://ghcr.io', environment), `${proxy}/`)
  assert.equal(uses('http://ghcr.io', environment), 'http://other.example/')
  assert.equal(uses('https://ghcr.io', {}), undefined)
  assert.equal(uses('https://ghcr.io', { HTTPS_PROXY: '' }), undefined)
  assert.equal(uses('https://ghcr.io', { HTTPS_PROXY: 'proxy.example:3128' }), `${proxy}/`)
})

test('this machine is never reached through a proxy', () => {
  for (const host of ['localhost:5000', '127.0.0.1', '[::1]:5000'])
    assert.equal(uses(`http://${host}`, { HTTP_PROXY: proxy }), undefined)
})

for (const [exceptions, direct, proxied] of [
  ['*', ['a.example'], []],
  ['example.com', ['example.com', 'a.example.com'], ['notexample.com', 'example.com.evil.org']],
  ['.example.com', ['a.example.com', 'example.com'], ['notexample.com']],
  ['*.example.com', ['a.example.com'], ['notexample.com']],
  ['a.example:5000', ['a.example:5000'], ['a.example', 'a.example:5001']],
  ['x, EXAMPLE.com', ['example.com'], ['y.org']],
  ['10.0.0.0/8,192.168.1.1', ['10.1.2.3', '192.168.1.1'], ['11.1.2.3', '192.168.1.2']],
  ['fd00::/8 2001:db8::1', ['[fd12::1]', '[2001:db8::1]'], ['[2001:db8::2]']],
  ['10.0.0.0/99', [], ['10.1.2.3']],
] as const)
  test(`NO_PROXY=${exceptions}`, () => {
    const environment = { HTTPS_PROXY: proxy, NO_PROXY: exceptions }
    for (const host of direct) assert.equal(uses(`https://${host}`, environment), undefined, host)
    for (const host of proxied) assert.equal(uses(`https://${host}`, environment), `${proxy}/`, host)
  })

test('what is no address of a proxy is a config_error that does not show it', () => {
  for (const value of ['socks5://user:secret@host', 'http://user:secret@'])
    assert.throws(
      () => proxyFor(new URL('https://ghcr.io'), { HTTPS_PROXY: value }),
      error => isCofferError(error, 'config_error') && !`${error.message}${error.hint}`.includes('secret'),
    )
})
