/**
 * The wire protocol: every number both sides must agree on. It is spoken on two hops with one framing, between the
 * shim and the agent (a virtio-serial port) and between a client and the shim (a unix socket).
 *
 * `scripts/protocol-header.ts` writes `agent/protocol.h` from this file; a test fails when the two differ.
 *
 * A frame is a header of 12 bytes, little endian, then its payload:
 *
 *     0  u32 length    bytes of payload
 *     4  u32 stream    0 is the connection itself, others are executions or requests
 *     8  u8  type      one of `frameTypes`
 *     9  u8  flags     meaning depends on the type
 *     10 u16 reserved  zero
 *
 * Control payloads are CBOR (RFC 8949) restricted to integers, byte and text strings, arrays, maps with text keys, booleans
 * and null, all of definite length. Stdio payloads are raw bytes.
 */

/** Raised when a change breaks the other side; a mismatch is refused in the hello. */
export const protocolVersion = 1

export const headerBytes = 12

/** Payload bound of a control frame: a command line and environment of Linux' ARG_MAX (2 MiB) and some room. */
export const maxControlBytes = 2 * 1024 * 1024 + 64 * 1024

/** Bytes a sender of stdio may have in flight on one channel before the reader grants more. */
export const windowBytes = 256 * 1024

/** Payload bound of a stdio frame: a whole window, all of whose pages a pipe hands to the guest’s port without a copy. */
export const maxDataBytes = windowBytes

/**
 * A reader of output grants credit in pieces of this size, or of what it read at once if that is more. Each is a frame that costs the guest an
 * interrupt; the rest of the window keeps it busy meanwhile.
 */
export const grantBytes = windowBytes / 4

/** Executions one agent holds at once; one more is refused with `resource_limit`. */
export const maxStreams = 512

/** Nesting bound of a CBOR payload. */
export const maxCborDepth = 8

export const frameTypes = {
  /** Both hops, stream 0, the first frame of each side. `Hello`. */
  hello: 1,
  /** Host → agent, stream 0, once. `Configure`. */
  configure: 2,
  /** Agent → host, stream 0: the answer to configure. `Configured`, or `Failure`. */
  configured: 3,
  configureFailed: 4,
  /** Agent → host, stream 0: the other side broke the protocol; the connection is over. `{ message }`. */
  protocolError: 5,
  /** Both ways, stream chosen by the asker: `{ method, … }` and its answer, or `Failure`. */
  request: 8,
  response: 9,
  requestFailed: 10,
  /** Shim → client, stream 0: something happened to the box. `{ event, … }`. */
  event: 11,
  /** Host → agent: open a stream with an execution. `ExecRequest`. */
  exec: 16,
  /** Agent → host: the process runs. `{ pid }`. */
  started: 17,
  /** Agent → host: the command could not be run; nothing else follows on this stream. `Failure`. */
  execFailed: 18,
  /** Agent → host: the process ended; output may still follow. `Exited`. */
  exited: 19,
  /** Host → agent, raw bytes. Flag `end`: end of input. */
  stdin: 20,
  /** Agent → host, raw bytes. Flag `end`: no more; sent once on each channel, also with a terminal. */
  stdout: 21,
  stderr: 22,
  /** Both ways: a reader grants `u32` more bytes on the channel in `flags`. */
  credit: 23,
  /** Host → agent: `u32` signal number, `flags` one of `signalTargets`. */
  signal: 24,
  /** Host → agent: `u16` rows, `u16` columns. */
  resize: 25,
  /** Agent → host: input could not be delivered (EPIPE); later input is dropped, the process goes on. `{ errno }`. */
  stdinFailed: 26,
  /** Host → agent: nobody reads the output of this stream any more; the agent drains and drops it. Empty. */
  discard: 27,
  /** Client → shim: open a stream on an execution that is there. `{ id }`. Answered as `exec` is, then missed output. */
  attach: 28,
  /** Client → shim: leave the stream; the execution runs on. Empty. */
  detach: 29,
} as const

export const flags = {
  /** On stdin, stdout, stderr: this frame is the last of its channel. */
  end: 1,
  /** Shim → client, on stdout and stderr after `attach`: output that was missed. It does not count against the window. */
  replay: 2,
} as const

/** Values of `flags` in a credit frame. */
export const channels = { stdin: 0, stdout: 1, stderr: 2 } as const

/** Values of `flags` in a signal frame. */
export const signalTargets = {
  /** The process group of the command. */
  group: 0,
  /** Every process the execution left, also after setsid or a double fork. Only SIGKILL reaches all at once. */
  tree: 1,
} as const

/** Why a command could not be run, as `Failure.kind`. */
export const failureKinds = [
  'not_found',
  'not_executable',
  'bad_interpreter',
  'bad_cwd',
  'bad_user',
  'bad_argument',
  'resource_limit',
  'out_of_memory',
  'terminal_failed',
  'invalid_state',
  'other',
] as const

/** The 16 resource limits in the order of their numbers in Linux (asm-generic/resource.h). */
export const rlimitNames = [
  'cpu',
  'fsize',
  'data',
  'stack',
  'core',
  'rss',
  'nproc',
  'nofile',
  'memlock',
  'as',
  'locks',
  'sigpending',
  'msgqueue',
  'nice',
  'rtprio',
  'rttime',
] as const
