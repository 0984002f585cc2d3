import { expect, test } from 'vitest'
import { tokenSource } from '../../../providers/gce-pd/auth.ts'
import { failureOf } from './world.ts'

test('a callback, or anything with access tokens, gives the token', async () => {
  expect(await tokenSource(() => 'one')()).toBe('one')
  expect(await tokenSource(async () => 'two')()).toBe('two')
  expect(await tokenSource({ getAccessToken: async () => 'three' })()).toBe('three')
  expect(await tokenSource({ getAccessToken: async () => ({ token: 'four' }) })()).toBe('four')
})

test.each([
  ['an empty one', () => ''],
  ['none', { getAccessToken: async () => null }],
  ['a failure', { getAccessToken: () => Promise.reject(new Error('invalid_grant')) }],
])('%s is authentication-failed', async (_name, credentials) => {
  expect(await failureOf(tokenSource(credentials)())).toMatchObject({
    code: 'authentication-failed',
    outcome: 'unchanged',
  })
})

test('a service account’s key that is none is refused by the library, and stays out of the error', async () => {
  const error = await failureOf(tokenSource({ client_email: 'a@example.com', private_key: 'canary-key' })())
  expect(error).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged' })
  expect(JSON.stringify(error)).not.toContain('canary-key')
})
