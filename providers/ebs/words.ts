const words = new Map<string, string>()

/** One string for each of the few words that there are for states and types, instead of one for each of ten thousand volumes. */
export function shared(word: string): string {
  const known = words.get(word)
  if (known !== undefined) return known
  if (words.size < 100) words.set(word, word)
  return word
}
