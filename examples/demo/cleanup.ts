/** What has to be undone, whatever happens: the last thing first, each thing once. */
export class Cleanup {
  readonly #entries: { readonly what: string; readonly undo: () => Promise<void> }[] = []

  /** @returns undoes it now, when that is due before the end */
  add(what: string, undo: () => Promise<void>): () => Promise<void> {
    const entry = { what, undo }
    this.#entries.push(entry)
    return async () => {
      await undo()
      this.#entries.splice(this.#entries.indexOf(entry), 1)
    }
  }

  /** Undoes all that is left, and goes on after a failure. @returns what could not be undone, and why */
  async run(): Promise<readonly string[]> {
    const left: string[] = []
    for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
      try {
        await entry.undo()
      } catch (error) {
        left.push(`${entry.what}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    return left
  }
}
