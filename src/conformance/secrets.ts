/** The ways in which a secret is written by those who do not mean to write it: as it is, in JSON, in a URL, in hexadecimal, and in base64 wherever it begins. */
function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  const hex = bytes.toString('hex')
  // In front of a secret there may be any number of bytes, such as `user:`; of the digits of base64, those at the ends then depend on the neighbours.
  const base64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const whole = Math.floor(((before + bytes.length) * 8) / 6)
    return text.slice(Math.ceil((before * 8) / 6), whole)
  })
  const forms = [
    ...[secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)],
    ...[new URLSearchParams([['', secret]]).toString().slice(1), hex, hex.toUpperCase()],
    ...base64.flatMap((text) => [text, text.replaceAll('+', '-').replaceAll('/', '_')]),
  ]
  return [...new Set(forms)]
}

/** The first of the secrets that the text shows, in whichever form. */
export function secretIn(text: string, secrets: readonly string[]): string | undefined {
  return secrets.find((secret) => formsOf(secret).some((form) => text.includes(form)))
}
