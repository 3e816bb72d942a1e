import assert from 'node:assert/strict'
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { isCofferError } from '../../src/errors.ts'
import { openTestHome, smallBox } from '../home.ts'
import { startRegistry } from '../registry/registry.ts'
import { scratchDirectory } from '../scratch.ts'
import { makeLayout, manifestDigest, run } from './images.ts'

test('what one home commits and pushes, another pulls and runs', async () => {
  await using registry = await startRegistry()
  await using maker = await openTestHome({ ownImages: true })
  await using user = await openTestHome({ ownImages: true })
  const box = await maker.runtime.create(smallBox)
  await box.shell('echo made > /etc/motd')
  const committed = await box.commit('team/app:1', { changes: ['CMD ["cat", "/etc/motd"]'] })
  await box.stop()
  const target = `${registry.host}/team/app:1`
  const pushed = await maker.runtime.images.push('team/app:1', target)
  assert.equal(pushed.digest, committed.digest)
  assert.equal(
    (
      await run('skopeo', 'inspect', '--tls-verify=false', '--format', '{{.Digest}}', `docker://${target}`)
    ).trim(),
    committed.digest,
  )
  const copy = await user.runtime.create({ ...smallBox, image: target })
  assert.equal((await copy.shell('cat /etc/motd')).text, 'made\n')
  assert.equal((await user.runtime.images.get(target)).digest, committed.digest)
  await copy.stop()
})

test('images are loaded, saved and imported through the runtime', async () => {
  using scratch = scratchDirectory('runtime-images')
  await using home = await openTestHome({ ownImages: true })
  const { images } = home.runtime
  const layout = makeLayout(`${scratch.path}/layout`)
  const [loaded] = await images.load(layout, { name: 'team/app' })
  assert.deepEqual([loaded?.digest, loaded?.names], [manifestDigest(layout), ['team/app:image']])
  const archive = `${scratch.path}/archive.tar`
  await images.save(['team/app:image'], archive)
  await images.remove('team/app:image')
  const [again] = await images.load(createReadStream(archive))
  assert.deepEqual([again?.digest, again?.names], [loaded?.digest, ['team/app:image']])
  mkdirSync(`${scratch.path}/root`)
  writeFileSync(`${scratch.path}/root/file`, 'x')
  assert.deepEqual((await images.importRootfs(`${scratch.path}/root`, 'root:1')).names, ['root:1'])
  await run('mke2fs', '-q', '-F', '-t', 'ext4', '-d', `${scratch.path}/root`, `${scratch.path}/disk`, '2m')
  assert.deepEqual((await images.importDisk(`${scratch.path}/disk`, 'disk:1')).names, ['disk:1'])
  await assert.rejects(images.save(['team/app:image'], archive, { formt: 'x' } as object), error =>
    isCofferError(error, 'invalid_argument'),
  )
  await assert.rejects(images.save(['team/app:image'], '/dev/null/x'), error =>
    isCofferError(error, 'storage_error'),
  )
  await images.save(['team/app:image'], '/dev/null')
  assert.equal((await run('stat', '-c', '%F', '/dev/null')).trim(), 'character special file')
})
