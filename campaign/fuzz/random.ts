/** Numbers that follow from their seed alone, on every machine: sfc32 by Chris Doty-Humphrey (PractRand), seeded by an FNV-1a hash. */
export class Random {
  #a: number
  #b: number
  #c: number
  #count = 1

  constructor(...seed: readonly (string | number)[]) {
    const text = seed.join('/')
    this.#a = hashOf(text, 0x811c9dc5)
    this.#b = hashOf(text, 0x9e3779b9)
    this.#c = hashOf(text, 0x7f4a7c15)
    for (let round = 0; round < 12; round += 1) this.u32()
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#count) >>> 0
    this.#count = (this.#count + 1) >>> 0
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0
    this.#b = (this.#c + (this.#c << 3)) >>> 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0
    return sum
  }

  /** From 0 to below `bound`, which is at most 2^32. */
  below(bound: number): number {
    return Math.floor((this.u32() / 2 ** 32) * bound)
  }

  /** Both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** True once in so many times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0
  }

  pick<Item>(items: readonly [Item, ...Item[]] | readonly Item[]): Item {
    const item = items[this.below(items.length)]
    if (item === undefined && items.length === 0) throw new RangeError('There is nothing to pick from.')
    return item as Item
  }

  bits(count: number): bigint {
    let value = 0n
    for (let left = count; left > 0; left -= 32) {
      const part = this.u32() >>> Math.max(0, 32 - left)
      value = (value << BigInt(Math.min(32, left))) | BigInt(part)
    }
    return value
  }

  /** A number of up to so many bits whose length is random too, often right at a power of two. */
  whole(mostBits: number): bigint {
    const length = this.between(1, mostBits)
    const value = this.bits(length)
    switch (this.below(5)) {
      case 0:
        return 1n << BigInt(length - 1)
      case 1:
        return (1n << BigInt(length)) - 1n
      default:
        return value
    }
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let index = 0; index < length; index += 1) bytes[index] = this.u32() & 0xff
    return bytes
  }

  /** So many, each by a call. */
  list<Item>(least: number, most: number, make: () => Item): Item[] {
    return Array.from({ length: this.between(least, most) }, make)
  }
}

function hashOf(text: string, start: number): number {
  let hash = start >>> 0
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0
  }
  return hash
}
