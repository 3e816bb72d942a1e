import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AddressReach, mayLead, reachOfAddress, reachOfHost } from './addresses.ts'
import { checkReach, guardedLookup, InwardError } from './guarded-lookup.ts'

const addresses: Record<AddressReach, string[]> = {
  loopback: [
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '::1',
    '[::1]',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
  ],
  linkLocal: [
    '169.254.169.254',
    '169.254.0.1',
    'fe80::1',
    'fe80::1%eth0',
    'fd00:ec2::254',
    '::ffff:169.254.169.254',
    '64:ff9b::a9fe:a9fe',
  ],
  private: [
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    'fc00::1',
    'fd12::1',
    '224.0.0.1',
    '255.255.255.255',
    '::10.0.0.1',
    '::ffff:10.1.2.3',
    'ff02::1',
  ],
  public: [
    '8.8.8.8',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '64:ff9b::808:808',
    '2002:808:808::',
    '169.253.0.1',
    '11.0.0.1',
  ],
}

for (const [reach, list] of Object.entries(addresses))
  test(`these are ${reach}: ${list.join(' ')}`, () => {
    for (const address of list) assert.equal(reachOfAddress(address), reach, address)
  })

test('a name has no reach of its own, except what always means this machine', () => {
  for (const name of ['example.com', 'localhost.example.com', 'notlocalhost', '1.2.3', ''])
    assert.equal(reachOfHost(name), undefined, name)
  for (const name of ['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', '[::1]'])
    assert.equal(reachOfHost(name), 'loopback', name)
})

test('any address is classified', () => {
  const known = Object.keys(addresses)
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), address => known.includes(reachOfAddress(address) ?? '')),
  )
})

test('a server leads outwards and to where it is itself, not further in', () => {
  const reaches: AddressReach[] = ['public', 'private', 'loopback', 'linkLocal']
  const allowed = reaches.flatMap(from => reaches.filter(to => mayLead(from, to)).map(to => `${from}>${to}`))
  assert.deepEqual(allowed, [
    ...['public>public', 'private>public', 'private>private'],
    ...['loopback>public', 'loopback>private', 'loopback>loopback'],
    ...['linkLocal>public', 'linkLocal>linkLocal'],
  ])
  assert.throws(() => checkReach('x', 'public', ['public', 'private']), InwardError)
})

test('a name that resolves to this machine is refused to a server on the internet, and given to one that is here', async () => {
  const resolve = (from: AddressReach) =>
    new Promise((done, fail) =>
      guardedLookup(from)('localhost', { all: true }, (error, found) => (error ? fail(error) : done(found))),
    )
  await assert.rejects(resolve('public'), InwardError)
  assert.ok(await resolve('loopback'))
})
