/**
 * The filter on system calls (seccomp) of everything in the jail. QEMU adds its own, which lets it start no program; this one
 * keeps it from borrowing the keeper's process, which has none: no call that reads, writes or takes over another process.
 */
export function jailFilter(): Buffer {
  return Buffer.concat([
    // Only the calls of x86-64: the numbers below mean others to 32-bit programs and to x32.
    instruction(loadWord, architectureOffset),
    instruction(jumpIfEqual, x86_64, 1, 0),
    instruction(answer, killProcess),
    instruction(loadWord, numberOffset),
    instruction(jumpIfAtLeast, x32Calls, 0, 1),
    instruction(answer, killProcess),
    ...Object.values(deniedCalls).flatMap(number => [
      instruction(jumpIfEqual, number, 0, 1),
      instruction(answer, operationNotPermitted),
    ]),
    instruction(answer, allow),
  ])
}

/** Numbers of asm/unistd_64.h. */
const deniedCalls = {
  ptrace: 101,
  process_vm_readv: 310,
  process_vm_writev: 311,
  kcmp: 312,
  pidfd_getfd: 438,
  process_madvise: 440,
} as const

// struct seccomp_data, linux/seccomp.h
const numberOffset = 0
const architectureOffset = 4
const x86_64 = 0xc000003e
const x32Calls = 0x40000000

// linux/bpf_common.h: class, size and mode, or class and operation
const loadWord = 0x20
const jumpIfEqual = 0x15
const jumpIfAtLeast = 0x35
const answer = 0x06

const killProcess = 0x80000000
const operationNotPermitted = 0x00050001
const allow = 0x7fff0000

/** A `struct sock_filter`: a jump skips `whenTrue` or `whenFalse` instructions. */
function instruction(code: number, operand: number, whenTrue = 0, whenFalse = 0): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16LE(code, 0)
  bytes.writeUInt8(whenTrue, 2)
  bytes.writeUInt8(whenFalse, 3)
  bytes.writeUInt32LE(operand, 4)
  return bytes
}
