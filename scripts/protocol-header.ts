/**
 * Writes agent/protocol.h from src/guest/protocol.ts, so that both sides of the wire are made from one file.
 * With `--check` nothing is written: exit code 1 says that the committed header is not what would be written.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as protocol from '../src/guest/protocol.ts'

const headerPath = fileURLToPath(new URL('../agent/protocol.h', import.meta.url))

/** `maxDataBytes` → `MAX_DATA_BYTES` */
const upper = (name: string) => name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()

const constants = {
  protocolVersion: protocol.protocolVersion,
  headerBytes: protocol.headerBytes,
  maxDataBytes: protocol.maxDataBytes,
  maxControlBytes: protocol.maxControlBytes,
  windowBytes: protocol.windowBytes,
  maxStreams: protocol.maxStreams,
  maxCborDepth: protocol.maxCborDepth,
}

const enumeration = (name: string, prefix: string, members: Readonly<Record<string, number>>) =>
  [
    `enum ${name} {`,
    ...Object.entries(members).map(([key, value]) => `    ${prefix}_${upper(key)} = ${value},`),
    '};',
  ].join('\n')

const numbered = (names: readonly string[]) => Object.fromEntries(names.map((name, index) => [name, index]))

const render = () =>
  [
    '/* Written by scripts/protocol-header.ts from src/guest/protocol.ts; edit that file instead. */',
    '#pragma once',
    '',
    Object.entries(constants)
      .map(([name, value]) => `#define ${upper(name)} ${value}u`)
      .join('\n'),
    '',
    enumeration('frame_type', 'FRAME', protocol.frameTypes),
    '',
    enumeration('frame_flag', 'FLAG', protocol.flags),
    '',
    enumeration('channel', 'CHANNEL', protocol.channels),
    '',
    enumeration('signal_target', 'SIGNAL_TARGET', protocol.signalTargets),
    '',
    enumeration('failure_kind', 'FAILURE', numbered(protocol.failureKinds)),
    '',
    '/* The names on the wire, in the order of enum failure_kind. */',
    '#define FAILURE_KIND_NAMES \\',
    `    ${protocol.failureKinds.map(kind => `"${kind}"`).join(', \\\n    ')}`,
    '',
    enumeration('rlimit_number', 'LIMIT', numbered(protocol.rlimitNames)),
    '',
    `#define RLIMIT_COUNT ${protocol.rlimitNames.length}u`,
    '',
  ].join('\n')

const wanted = render()
if (process.argv.includes('--check')) {
  const found = readFileSync(headerPath, 'utf8')
  if (found !== wanted) {
    process.stderr.write(
      'agent/protocol.h differs from src/guest/protocol.ts: run scripts/protocol-header.ts\n',
    )
    process.exitCode = 1
  }
} else {
  writeFileSync(headerPath, wanted)
}
