/** Keeps the last bytes of a stream, however long it is. */
export class TailBuffer {
  readonly #limit: number
  #chunks: Uint8Array[] = []
  #length = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    for (let first = this.#chunks[0]; first !== undefined; first = this.#chunks[0]) {
      if (this.#length - first.length < this.#limit) break
      this.#length -= first.length
      this.#chunks.shift()
    }
  }

  text(): string {
    const all = Buffer.concat(this.#chunks)
    return all.toString('utf8', Math.max(0, all.length - this.#limit))
  }
}
