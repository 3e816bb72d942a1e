/** What the VMM may see of the host, beside the read-only system directories it is linked against. */
export type JailGrants = {
  readonly readOnly: readonly Bind[]
  readonly readWrite: readonly Bind[]
  readonly devices: readonly string[]
}

/** A host path and the path under which the jailed process sees it. */
export type Bind = { readonly from: string; readonly to: string }

// Debian and its kin keep QEMU, its ROMs and all libraries below /usr; the rest are links into it.
const systemArguments = [
  ...['--ro-bind', '/usr', '/usr'],
  ...['--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64', '--symlink', 'usr/bin', '/bin'],
  ...['--ro-bind-try', '/etc/ld.so.cache', '/etc/ld.so.cache'],
  ...['--dev', '/dev', '--tmpfs', '/tmp'],
]

/**
 * The command line that runs `command` in the jail: bubblewrap with every namespace new and empty, no capability, no
 * environment, its own session, and the death of the parent passed on. Descriptors from 3 on are inherited.
 */
export function jailArguments(grants: JailGrants, command: readonly string[]): string[] {
  return [
    ...[
      '--unshare-all',
      '--die-with-parent',
      '--new-session',
      '--clearenv',
      '--cap-drop',
      'ALL',
      '--as-pid-1',
    ],
    ...systemArguments,
    ...grants.devices.flatMap(path => ['--dev-bind', path, path]),
    ...grants.readOnly.flatMap(bind => ['--ro-bind', bind.from, bind.to]),
    ...grants.readWrite.flatMap(bind => ['--bind', bind.from, bind.to]),
    ...['--chdir', '/', '--', ...command],
  ]
}
