import type { IncomingMessage } from 'node:http'

/** More than any answer that is asked for; a server that sends without end is not listened to for ever. */
export const largestAnswer: number = 64 * 2 ** 20

/** @throws {Error} when the answer was cut off, or is longer than {@link largestAnswer} bytes */
export async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength
    if (length > largestAnswer) throw new Error(`the answer is longer than ${largestAnswer} bytes`)
    chunks.push(chunk)
  }
  if (!response.complete) throw new Error('the answer was cut off')
  return Buffer.concat(chunks).toString('utf8')
}
