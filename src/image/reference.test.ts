import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../errors.ts'
import type { Digest } from './digest.ts'
import {
  familiarReference,
  formatReference,
  type ImageReference,
  isRegistryHost,
  parseReference,
  referenceCandidates,
} from './reference.ts'

const digest = `sha256:${'f'.repeat(64)}`

// From the tests of github.com/distribution/reference: name, canonical form, familiar form.
const valid: [string, string, string?][] = [
  ['alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
  ['alpine:3.20', 'docker.io/library/alpine:3.20', 'alpine:3.20'],
  ['docker/docker', 'docker.io/docker/docker:latest', 'docker/docker:latest'],
  ['library/debian', 'docker.io/library/debian:latest', 'debian:latest'],
  ['docker.io/library/debian', 'docker.io/library/debian:latest', 'debian:latest'],
  ['docker.io/debian', 'docker.io/library/debian:latest', 'debian:latest'],
  ['index.docker.io/debian', 'docker.io/library/debian:latest', 'debian:latest'],
  ['index.docker.io/docker/docker', 'docker.io/docker/docker:latest', 'docker/docker:latest'],
  ['127.0.0.1:5000/docker/docker', '127.0.0.1:5000/docker/docker:latest'],
  ['127.0.0.1:5000/debian', '127.0.0.1:5000/debian:latest'],
  ['192.168.0.1', 'docker.io/library/192.168.0.1:latest', '192.168.0.1:latest'],
  ['192.168.0.1:80', 'docker.io/library/192.168.0.1:80', '192.168.0.1:80'],
  ['192.168.0.1:8/debian', '192.168.0.1:8/debian:latest'],
  ['localhost/x', 'localhost/x:latest'],
  ['localhost:5000/x', 'localhost:5000/x:latest'],
  ['test.com:tag', 'docker.io/library/test.com:tag', 'test.com:tag'],
  ['test.com:5000', 'docker.io/library/test.com:5000', 'test.com:5000'],
  ['test:5000/repo:tag', 'test:5000/repo:tag'],
  [`test:5000/repo@${digest}`, `test:5000/repo@${digest}`],
  [`test:5000/repo:tag@${digest}`, `test:5000/repo:tag@${digest}`],
  [`alpine@${digest}`, `docker.io/library/alpine@${digest}`, `alpine@${digest}`],
  ['Uppercase/lowercase:tag', 'Uppercase/lowercase:tag'],
  ['lowercase:Uppercase', 'docker.io/library/lowercase:Uppercase', 'lowercase:Uppercase'],
  ['sub-dom1.foo.com/bar/baz/quux', 'sub-dom1.foo.com/bar/baz/quux:latest'],
  ['sub-dom1.foo.com/bar/baz/quux:some-long-tag', 'sub-dom1.foo.com/bar/baz/quux:some-long-tag'],
  ['b.gcr.io/test.example.com/my-app:test.example.com', 'b.gcr.io/test.example.com/my-app:test.example.com'],
  ['xn--n3h.com/myimage:xn--n3h.com', 'xn--n3h.com/myimage:xn--n3h.com'],
  ['foo_bar.com:8080', 'docker.io/library/foo_bar.com:8080', 'foo_bar.com:8080'],
  ['foo/foo_bar.com:8080', 'docker.io/foo/foo_bar.com:8080', 'foo/foo_bar.com:8080'],
  ['foo/foo__bar', 'docker.io/foo/foo__bar:latest', 'foo/foo__bar:latest'],
  ['a--b/c----d', 'docker.io/a--b/c----d:latest', 'a--b/c----d:latest'],
  ['[2001:db8::1]:5000/repo', '[2001:db8::1]:5000/repo:latest'],
  ['[2001:db8::1]/repo', '[2001:db8::1]/repo:latest'],
  [
    'registry.io/foo/project--id.module--name.ver---sion--name',
    'registry.io/foo/project--id.module--name.ver---sion--name:latest',
  ],
]

for (const [name, canonical, familiar = canonical] of valid)
  test(`${name} is ${canonical}`, () => {
    const reference = parseReference(name)
    assert.equal(formatReference(reference), canonical)
    assert.equal(familiarReference(reference), familiar)
    assert.deepEqual(parseReference(canonical), reference)
    assert.deepEqual(parseReference(familiar), reference)
  })

const invalid = [
  ...[
    '',
    ' ',
    ':justtag',
    `@${digest}`,
    'repo@sha256:ff',
    `repo@sha256:${'F'.repeat(64)}`,
    `repo@md5:${'f'.repeat(32)}`,
  ],
  ...[
    'https://github.com/docker/docker',
    'docker/Docker',
    'Uppercase',
    '-docker',
    'docker-',
    '-docker/docker',
  ],
  ...['-docker.io/docker/docker', 'docker///docker', 'docker.io/docker/Docker', 'docker.io/docker///docker'],
  ...['test:5000/Uppercase/lowercase:tag', 'aa/asdf$$^/aa', 'foo_bar.com:8080/image', 'a/', '/a', 'a//b'],
  ...['[fc00::1]', '[fc00::1]:5000', 'fc00::1:5000/debian', '[fe80::1%eth0]:5000/debian'],
  ...[
    '[2001:db8:3:4::192.0.2.33]:5000/debian',
    `${'1a3f5e7d'.repeat(8)}`,
    'a:',
    'a@',
    'a:b:c',
    'a___b',
    'a..b',
  ],
  ...[
    `a:${'t'.repeat(129)}`,
    `${'a/'.repeat(128)}a:tag`,
    'a:.tag',
    'a:-tag',
    'x.io:99999/a',
    '999.1.1.1/a',
    '[:]/a',
    '[1::2::3]/a',
    'x.io:/a',
    'a\n',
    'a b',
    'ä',
    'a:ü',
  ],
]

for (const name of invalid)
  test(`${JSON.stringify(name.slice(0, 60))} is refused with invalid_argument`, () => {
    assert.throws(
      () => parseReference(name),
      error => isCofferError(error, 'invalid_argument') && error.hint !== undefined,
    )
  })

test('a tag of 128 characters and a repository of 255 are the longest', () => {
  assert.equal(parseReference(`a:${'t'.repeat(128)}`).tag?.length, 128)
  assert.equal(parseReference(`x.io/${'a'.repeat(255)}`).repository.length, 255)
  assert.throws(() => parseReference(`x.io/${'a'.repeat(256)}`), /255/)
})

const component = fc.stringMatching(/^[a-z0-9]{1,6}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}$/)
const references: fc.Arbitrary<ImageReference> = fc
  .record({
    registry: fc.oneof(
      fc.constantFrom('docker.io', 'localhost', 'localhost:5000', '[::1]:5000', '127.0.0.1:80', 'Upper'),
      fc.stringMatching(/^[a-z0-9]{1,8}\.[a-z]{2,4}(:[1-9][0-9]{0,3})?$/),
    ),
    path: fc.array(component, { minLength: 1, maxLength: 4 }),
    tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/), { nil: undefined }),
    digest: fc.option(fc.stringMatching(/^sha256:[0-9a-f]{64}$/), { nil: undefined }),
  })
  .map(({ registry, path, tag, digest }) => {
    const repository = registry === 'docker.io' && path.length === 1 ? `library/${path[0]}` : path.join('/')
    const named = tag ?? (digest === undefined ? 'latest' : undefined)
    return { registry, repository, ...(named && { tag: named }), ...(digest && { digest: digest as Digest }) }
  })

test('every reference is read back from its canonical and from its familiar form', () => {
  fc.assert(
    fc.property(references, reference => {
      assert.deepEqual(parseReference(formatReference(reference)), reference)
      assert.deepEqual(parseReference(familiarReference(reference)), reference)
    }),
  )
})

test('any text is a reference that formats to itself, or an invalid_argument', () => {
  const texts = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'aA0.-_:/@[]% ') }))
  fc.assert(
    fc.property(texts, text => {
      try {
        const reference = parseReference(text)
        assert.deepEqual(parseReference(formatReference(reference)), reference)
      } catch (error) {
        if (!isCofferError(error, 'invalid_argument')) throw error
      }
    }),
    { numRuns: 2000 },
  )
})

test('a name like a long run of separators is refused in no time', () => {
  const began = performance.now()
  for (const unit of ['a-', 'a.', '-', 'a/', '0', '[', 'a:'])
    assert.throws(
      () => parseReference(`${unit.repeat(500)}!`),
      error => isCofferError(error, 'invalid_argument'),
    )
  assert.ok(performance.now() - began < 5000)
})

test('a short name means the search registries in turn and Docker Hub at last; a full name means one image', () => {
  const names = (text: string, search: string[]) => referenceCandidates(text, search).map(formatReference)
  assert.deepEqual(names('app', []), ['docker.io/library/app:latest'])
  assert.deepEqual(names('team/app:1', ['ghcr.io', 'quay.io']), [
    'ghcr.io/team/app:1',
    'quay.io/team/app:1',
    'docker.io/team/app:1',
  ])
  assert.deepEqual(names('app', ['docker.io', 'ghcr.io', 'ghcr.io']), [
    'docker.io/library/app:latest',
    'ghcr.io/app:latest',
  ])
  assert.deepEqual(names('localhost:5000/app', ['ghcr.io']), ['localhost:5000/app:latest'])
  assert.deepEqual(names('app:5000', ['ghcr.io']), ['ghcr.io/app:5000', 'docker.io/library/app:5000'])
})

test('a registry is a host and a port, nothing else', () => {
  for (const host of [
    'ghcr.io',
    'localhost',
    'localhost:5000',
    '10.0.0.1:80',
    '[::1]:5000',
    '[::1]',
    'Upper.example',
  ])
    assert.equal(isRegistryHost(host), true, host)
  for (const host of [
    '',
    'https://ghcr.io',
    'ghcr.io/',
    'a b',
    'a:b',
    'x.io:65536',
    'user@host',
    '::1',
    'a..b',
    '-a',
    'a_b',
    'a\0',
  ])
    assert.equal(isRegistryHost(host), false, host)
})
