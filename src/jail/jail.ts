/** What the VMM may see of the host, beside the read-only system directories it is linked against. */
export type JailGrants = {
  readonly readOnly: readonly Bind[]
  readonly readWrite: readonly Bind[]
  readonly devices: readonly string[]
}

/** A host path and the path under which the jailed process sees it. */
export type Bind = { readonly from: string; readonly to: string }

/** Inherited descriptors that are the jail's own; those from 3 up to the first of them are the command's. */
export const jailDescriptors = {
  /** A socket. Its end of file ends everything in the jail; the command's exit status comes out of it, as a line. */
  lifeline: 6,
  /** The system call filter, read once: `jailFilter`. */
  filter: 7,
} as const

// Debian and its kin keep QEMU, its ROMs and all libraries below /usr; the rest are links into it.
const systemArguments = [
  ...['--ro-bind', '/usr', '/usr'],
  ...['--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64', '--symlink', 'usr/bin', '/bin'],
  ...['--ro-bind-try', '/etc/ld.so.cache', '/etc/ld.so.cache'],
  ...['--dev', '/dev', '--tmpfs', '/tmp'],
]

/**
 * The command line that runs `command` in the jail: bubblewrap with every namespace new and empty, no capability, no environment,
 * its own session. The jail ends when `command` does, and when the other end of the lifeline is closed, which the kernel does for
 * a process that dies.
 *
 * Not `--die-with-parent`: a parent that dies before bubblewrap has asked for the signal is missed, and if the signal comes
 * between its fork and its first word to its child, that child waits for ever. A descriptor has no such moments: whenever the
 * keeper looks, it tells.
 */
export function jailArguments(grants: JailGrants, command: readonly string[]): string[] {
  return [
    ...['--unshare-all', '--as-pid-1', '--new-session', '--clearenv', '--cap-drop', 'ALL'],
    ...['--seccomp', String(jailDescriptors.filter)],
    ...systemArguments,
    ...grants.devices.flatMap(path => ['--dev-bind', path, path]),
    ...grants.readOnly.flatMap(bind => ['--ro-bind', bind.from, bind.to]),
    ...grants.readWrite.flatMap(bind => ['--bind', bind.from, bind.to]),
    ...['--chdir', '/', '--', '/bin/sh', '-c', keeper, ...command],
  ]
}

const { lifeline } = jailDescriptors
// What is not the command must not hold the command's sockets and stderr open, and its own words about signals would pass for QEMU's.
const letGo = 'exec 2>&- 3>&- 4>&- 5>&-'

/**
 * The first process of the jail's pid namespace: when it ends, the kernel kills all others, and none of them can kill it. It waits
 * for the end of the lifeline; its one child waits for the command. No core dump: it would hold the guest's memory.
 */
const keeper = [
  'ulimit -c 0',
  `{ "$0" "$@" ${lifeline}>&- & ${letGo}; wait $!; echo $? >&${lifeline}; } & ${letGo}`,
  `read -r _ <&${lifeline}`,
].join('\n')
