import { expect, test } from 'vitest'
import { secretIn } from '../../src/conformance/secrets.ts'
import { Watch } from './watch.ts'

const secret = 'canary/with "quotes", a+sign and Größe'

test.each([
  ['as it is', secret],
  ['in JSON', JSON.stringify({ password: secret })],
  ['in a URL', `https://host/?p=${encodeURIComponent(secret)}`],
  ['in a form', `${new URLSearchParams({ p: secret })}`],
  ['in hexadecimal', Buffer.from(`x${secret}y`).toString('hex')],
  ['in base64', Buffer.from(secret).toString('base64')],
  ['in base64 behind a name', Buffer.from(`user:${secret}`).toString('base64')],
  ['in base64 behind another name', Buffer.from(`me:${secret}!`).toString('base64')],
  ['in base64 for URLs', Buffer.from(`us:${secret}`).toString('base64url')],
])('a secret is found %s', (_, text) => {
  expect(secretIn(`before ${text} after`, ['another', secret])).toBe(secret)
})

test('nothing is found where nothing is', () => {
  expect(secretIn('canary', [secret])).toBeUndefined()
})

test('the watch sees a secret wherever it is shown', () => {
  const places: readonly ((watch: Watch) => void)[] = [
    () => console.warn('login', { password: secret }),
    () => void process.stderr.write(`${Buffer.from(secret).toString('base64')}\n`),
    (watch) => watch.show('an error', new Error('no', { cause: new Error(`denied: ${secret}`) })),
    (watch) =>
      watch.show('an error', Object.assign(new Error('no'), { request: { headers: { authorization: secret } } })),
    (watch) => watch.show('an option', Object.defineProperty({}, 'password', { value: secret })),
  ]
  for (const leak of places) {
    const watch = new Watch()
    leak(watch)
    expect(() => watch.expectNone([secret])).toThrow()
  }
})
