const polynomial = 0x82f63b78

const table: Uint32Array = new Uint32Array(256).map((_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
  return value
})

/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4) carried on from `seed` and not inverted at the end, as ext4 stores it. XFS stores the inverse.
 */
export function crc32c(bytes: Uint8Array, seed = 0xffffffff): number {
  let crc = seed
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] ?? 0)
  return crc >>> 0
}
