/** `probe-guest.S`, assembled. */
export const probeGuestCode = Buffer.from(
  [
    'fa31c08ed88ec08ed066c70600100320000066c70600200330000066c7060030830000002e660f0116b0000f20c06683c8010f22c066ea3d000f000800',
    '66b810008ed80f20e083c8200f22e0b8001000000f22d8b9800000c00f320d000100000f300f20c00d000000800f22c0ea74000f001800',
    'b8010000000fa20f31b9a0860100ffc975fcb02ae6f4f4ebfd0f1f00',
    '0000000000000000ffff0000009acf00ffff00000092cf00ffff0000009aaf001f0090000f00',
  ].join(''),
  'hex',
)

/** Exit status of QEMU when the guest came to its end. */
export const probeGuestStatus = 85

/** A firmware image whose reset vector (16 bytes below its end) jumps to its beginning. */
export function probeFirmware(): Buffer {
  const firmwareBytes = 64 * 1024
  const farJumpToStart = Buffer.from([0xea, 0x00, 0x00, 0x00, 0xf0])
  const firmware = Buffer.alloc(firmwareBytes)
  probeGuestCode.copy(firmware)
  farJumpToStart.copy(firmware, firmwareBytes - 16)
  return firmware
}
