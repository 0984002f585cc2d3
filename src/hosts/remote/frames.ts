/** A part of the answer: what a line with the boundary announced, and the bytes up to the next one. */
export interface Frame {
  readonly fields: readonly string[]
  readonly body: Uint8Array
  /** When its line arrived, in milliseconds as performance.now() counts. */
  readonly at: number
}

const newline = 0x0a

/**
 * Takes the output of the script apart. What comes before the first boundary, such as the words of a login script, is nobody's answer; bytes of files and of
 * commands may be anything, because none of them can hold a boundary that was made at random for this one call.
 */
export class FrameReader {
  readonly frames: Frame[] = []
  readonly #mark: Buffer
  readonly #onLine: (fields: readonly string[]) => void
  #pending: Buffer[] = []
  #length = 0
  #open: { fields: readonly string[]; at: number } | undefined
  #ended = false

  constructor(boundary: string, onLine: (fields: readonly string[]) => void = () => undefined) {
    this.#mark = Buffer.from(`\n${boundary} `)
    this.#onLine = onLine
  }

  /** Whether the script has said that it is through; a connection that ends before it lost a part of the answer. */
  get ended(): boolean {
    return this.#ended
  }

  push(chunk: Uint8Array): void {
    this.#pending.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    this.#length += chunk.byteLength
    // A long body is put together once its end may have come, not with every piece of it.
    if (!this.#ended) this.#advance()
  }

  /** All frames, the last one ending where the bytes do. */
  finish(): readonly Frame[] {
    this.#close(Buffer.concat(this.#pending, this.#length))
    return this.frames
  }

  #advance(): void {
    let bytes = Buffer.concat(this.#pending, this.#length)
    for (;;) {
      const start = bytes.indexOf(this.#mark)
      const end = start < 0 ? -1 : bytes.indexOf(newline, start + this.#mark.length)
      if (end < 0) break
      this.#close(bytes.subarray(0, start))
      const fields = bytes.toString('latin1', start + this.#mark.length, end).split(' ')
      this.#open = { fields, at: performance.now() }
      this.#onLine(fields)
      bytes = bytes.subarray(end + 1)
      if (fields[0] === 'end') {
        this.#close(new Uint8Array())
        this.#ended = true
        break
      }
    }
    this.#pending = [bytes]
    this.#length = bytes.length
  }

  #close(body: Uint8Array): void {
    if (this.#open !== undefined) this.frames.push({ ...this.#open, body })
    this.#open = undefined
  }
}
