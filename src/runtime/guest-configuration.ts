import type { GuestConfiguration } from '../guest/messages.ts'
import type { ImageConfig } from '../image/config.ts'
import type { BoxConfig } from './box-config.ts'

/** The 14 capabilities Docker gives a container, by their numbers in linux/capability.h. */
const defaultCapabilities = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_RAW: 13,
  CAP_SYS_CHROOT: 18,
  CAP_MKNOD: 27,
  CAP_AUDIT_WRITE: 29,
  CAP_SETFCAP: 31,
} as const

/** Enough for a build with many jobs, and a bound for a fork bomb. */
const pidsMax = 4096

export function guestConfiguration(
  config: BoxConfig,
  image: Pick<ImageConfig, 'workdir' | 'volumes'>,
): GuestConfiguration {
  return {
    hostname: config.hostname,
    machineId: config.machineId,
    resolvConf: '',
    hosts: `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t${config.hostname}\n`,
    pidsMax,
    capabilities: Object.values(defaultCapabilities),
    directories: directoriesOf(config, image),
  }
}

/** The agent takes so much. An image that declares more volumes than that is none of this world. */
const maxDirectoriesBytes = 16 * 1024

/** Where commands begin, and what the image declares as volumes: as in Docker, these exist. */
function directoriesOf(
  config: BoxConfig,
  { workdir, volumes }: Pick<ImageConfig, 'workdir' | 'volumes'>,
): string[] {
  const wanted = [config.workdir ?? workdir ?? '/', ...volumes].filter(path => path !== '/')
  let bytes = 0
  return [...new Set(wanted)].filter(path => {
    bytes += Buffer.byteLength(path) + 1
    return bytes <= maxDirectoriesBytes
  })
}
