// The Castagnoli polynomial, bit-reversed. `zlib.crc32` has the other one.
const polynomial = 0x82f6_3b78

const table = new Uint32Array(256).map((_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
  return value
})

/** CRC-32C of `bytes` as the kernel's `crc32c(~0, …)` has it: without the final inversion of RFC 3720. */
export function crc32c(bytes: Uint8Array): number {
  let value = 0xffff_ffff
  for (const byte of bytes) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0)
  return value >>> 0
}
