type File = { readonly mode: number; readonly gid?: number; readonly text: string }

/** Directories of the base image with their modes, parents first. */
export const baseDirectories: readonly (readonly [path: string, mode: number])[] = [
  ['bin', 0o755],
  ['dev', 0o755],
  ['etc', 0o755],
  ['home', 0o755],
  ['lib', 0o755],
  ['mnt', 0o755],
  ['opt', 0o755],
  ['proc', 0o555],
  ['root', 0o700],
  ['run', 0o755],
  ['sbin', 0o755],
  ['srv', 0o755],
  ['sys', 0o555],
  ['tmp', 0o1777],
  ['usr', 0o755],
  ['usr/bin', 0o755],
  ['usr/lib', 0o755],
  ['usr/local', 0o755],
  ['usr/local/bin', 0o755],
  ['usr/local/sbin', 0o755],
  ['usr/sbin', 0o755],
  ['usr/share', 0o755],
  ['var', 0o755],
  ['var/lib', 0o755],
  ['var/log', 0o755],
  ['var/mail', 0o755],
  ['var/spool', 0o755],
  ['var/spool/cron', 0o755],
  ['var/spool/cron/crontabs', 0o700],
  ['var/tmp', 0o1777],
  ['var/www', 0o755],
]

/** Symbolic links by path. */
export const baseLinks: readonly (readonly [path: string, target: string])[] = [
  ['etc/mtab', '../proc/mounts'],
  ['var/run', '../run'],
]

const shadowGroup = 42

// Numbers as on Debian, so that files copied from there keep their owners.
const users = [
  ['root', 0, 0, '/root', '/bin/sh'],
  ['daemon', 1, 1, '/usr/sbin', '/bin/false'],
  ['bin', 2, 2, '/bin', '/bin/false'],
  ['sys', 3, 3, '/dev', '/bin/false'],
  ['mail', 8, 8, '/var/mail', '/bin/false'],
  ['www-data', 33, 33, '/var/www', '/bin/false'],
  ['nobody', 65534, 65534, '/nonexistent', '/bin/false'],
] as const

const groups = [
  ['root', 0],
  ['daemon', 1],
  ['bin', 2],
  ['sys', 3],
  ['adm', 4],
  ['tty', 5],
  ['disk', 6],
  ['mail', 8],
  ['www-data', 33],
  ['shadow', shadowGroup],
  ['utmp', 43],
  ['users', 100],
  ['nogroup', 65534],
] as const

const lines = (...all: string[]): string => `${all.join('\n')}\n`

/** Files of the base image. No account has a password: `*` matches none. */
export const baseFiles: readonly (readonly [path: string, file: File])[] = [
  ['etc/group', { mode: 0o644, text: lines(...groups.map(([name, gid]) => `${name}:x:${gid}:`)) }],
  ['etc/hostname', { mode: 0o644, text: lines('coffer') }],
  // Where the box's own is mounted: making the file at every first start costs 15 ms of emulated journalling.
  ['etc/machine-id', { mode: 0o444, text: '' }],
  [
    'etc/hosts',
    { mode: 0o644, text: lines('127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback') },
  ],
  [
    'etc/nsswitch.conf',
    { mode: 0o644, text: lines('passwd: files', 'group: files', 'shadow: files', 'hosts: files dns') },
  ],
  [
    'etc/os-release',
    {
      mode: 0o644,
      text: lines('NAME="Coffer BusyBox"', 'ID=coffer-busybox', 'PRETTY_NAME="Coffer BusyBox"'),
    },
  ],
  [
    'etc/passwd',
    {
      mode: 0o644,
      text: lines(
        ...users.map(([name, uid, gid, home, shell]) => `${name}:x:${uid}:${gid}:${name}:${home}:${shell}`),
      ),
    },
  ],
  [
    'etc/profile',
    {
      mode: 0o644,
      text: lines(
        'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        "export PS1='\\u@\\h:\\w\\$ '",
        'umask 022',
      ),
    },
  ],
  ['etc/resolv.conf', { mode: 0o644, text: '' }],
  [
    'etc/shadow',
    { mode: 0o640, gid: shadowGroup, text: lines(...users.map(([name]) => `${name}:*:0:0:99999:7:::`)) },
  ],
  ['etc/shells', { mode: 0o644, text: lines('/bin/sh', '/bin/ash') }],
]
