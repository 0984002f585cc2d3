/** Reads the fields of an on-disk structure at their byte offsets. Reading beyond the end throws `RangeError`: a decoder checks the length first. */
export interface Fields {
  u8(offset: number): number
  u16(offset: number): number
  u32(offset: number): number
  u64(offset: number): bigint
  /** Text up to the first NUL; bytes that are not UTF-8 become replacement characters. */
  text(offset: number, length: number): string
  bytes(offset: number, length: number): Uint8Array
}

export function fieldsOf(bytes: Uint8Array, order: 'little' | 'big'): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const little = order === 'little'
  return {
    u8: (offset) => view.getUint8(offset),
    u16: (offset) => view.getUint16(offset, little),
    u32: (offset) => view.getUint32(offset, little),
    u64: (offset) => view.getBigUint64(offset, little),
    text: (offset, length) => {
      const field = bytes.subarray(offset, offset + length)
      const end = field.indexOf(0)
      return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end))
    },
    bytes: (offset, length) => bytes.subarray(offset, offset + length),
  }
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The usual notation of 16 bytes: 8-4-4-4-12 hexadecimal digits. */
export function uuidText(bytes: Uint8Array): string {
  const digits = hex(bytes)
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20, 32),
  ].join('-')
}
