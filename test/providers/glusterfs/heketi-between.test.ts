import { describe, expect, test } from 'vitest'
import { heketiClient } from '../../../providers/glusterfs/heketi/client.ts'
import { heketiExpander } from '../../../providers/glusterfs/heketi/expander.ts'
import type { VolumeExpander } from '../../../src/expander.ts'
import type { HttpAnswer } from '../../../src/services/http.ts'
import { bytes, GiB } from '../../../src/size.ts'

const id = 'cd'.repeat(16)
const page = { status: 200, text: '<html>Sign in</html>' }
const pending = { status: 200, headers: { 'x-pending': 'true' } }
let count = 0

type Answer = { readonly status: number; readonly text?: string; readonly headers?: Record<string, string> }

/** An expander whose Heketi, or whatever stands before it, answers so; and what it was asked. */
function answering(answers: Readonly<Record<string, readonly Answer[]>>): {
  readonly expander: VolumeExpander<string>
  readonly asked: string[]
} {
  const asked: string[] = []
  const left = Object.fromEntries(Object.entries(answers).map(([key, list]) => [key, [...list]]))
  count += 1
  const client = heketiClient({
    url: `http://heketi-between-${count}.example`,
    key: 'key',
    http: {
      close: () => undefined,
      async send({ method, url }): Promise<HttpAnswer> {
        const kind = new URL(url).pathname.split('/')[1] ?? ''
        asked.push(`${method} ${kind}`)
        const list = left[`${method} ${kind}`] ?? []
        const { status, text = '', headers = {} } = (list.length > 1 ? list.shift() : list[0]) ?? usual(kind)
        return { status, text, headers, json: () => JSON.parse(text) as unknown }
      },
    },
  })
  return { expander: heketiExpander(client, 'volumes'), asked }
}

function usual(kind: string): Answer {
  const text = kind === 'operations' ? { in_flight: 0 } : { id, name: 'one', size: 10 }
  return { status: 200, text: JSON.stringify(text) }
}

const accepted = { status: 202, headers: { location: '/queue/1' } }
const ask = ({ expander }: ReturnType<typeof answering>): Promise<void> =>
  expander.expand(id, { size: bytes(20n * GiB), options: undefined, requestId: 'one' })

describe('something stands between here and Heketi', () => {
  test.each([
    ['a page with 200', [page, pending]],
    ['a failure that is not Heketi’s', [{ status: 500, text: 'oops' }, pending]],
  ])('%s does not end an operation that is under way', async (_, queue) => {
    const heketi = answering({ 'POST volumes': [accepted], 'GET queue': queue })
    await ask(heketi)
    await heketi.expander.read([id], {}).catch(() => undefined)
    expect(await heketi.expander.read([id], {})).toMatchObject([{ phase: 'growing', growingTo: 20n * GiB }])
    await ask(heketi)
    expect(heketi.asked.filter((one) => one === 'POST volumes')).toHaveLength(1)
  })

  test('Heketi’s own failure is one: it gives it once, and the volume can be grown again', async () => {
    const queue = [{ status: 500, text: 'No space' }, { status: 404 }]
    const heketi = answering({ 'POST volumes': [accepted], 'GET queue': queue })
    await ask(heketi)
    expect(await heketi.expander.read([id], {})).toMatchObject([{ phase: 'failed', repeatable: true }])
  })

  test('a page with 200 to the request itself is no refusal', async () => {
    await expect(ask(answering({ 'POST volumes': [page] }))).rejects.toMatchObject({ outcome: 'unknown' })
  })
})

test('a growth that a dead process has asked for may be under way: it is not asked for once more', async () => {
  const heketi = answering({ 'GET operations': [{ status: 200, text: '{"in_flight":1}' }] })
  await expect(ask(heketi)).rejects.toMatchObject({ code: 'conflicting-change', outcome: 'unchanged', retryable: true })
  expect(heketi.asked).not.toContain('POST volumes')
})
