import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { volumeOf } from '../../../../src/expander.ts'
import { expandMany } from '../../../../src/index.ts'
import { GiB } from '../../../../src/size.ts'
import type { CinderLab } from '../../../lab/cinder/cinder.ts'
import type { OpenStack } from '../../../lab/cinder/openstack.ts'
import { sharedCinder } from '../support/cinder.ts'
import { counted, fileSize, gib, makeVolume, optionsOf } from './support/cloud.ts'

const wanted = 200
const others = 2000

let lab: CinderLab
let user: OpenStack
let ids: readonly string[]

/** Copies a volume in the database, which takes no time of Cinder's; lists show them by their age, so `apart` seconds spread them over the pages. */
async function copies(id: string, count: number, apart: number): Promise<readonly string[]> {
  const columns = (
    await lab.sql(
      "select column_name from information_schema.columns where table_schema='cinder' and table_name='volumes'",
    )
  )
    .trim()
    .split('\n')
  const values = columns.map((column) => {
    if (column === 'id') return 'uuid()'
    return column === 'created_at' ? `date_sub(created_at, interval seq * ${apart} second)` : `\`${column}\``
  })
  const names = columns.map((column) => `\`${column}\``).join(', ')
  const marked = values.map((value) => (value === '`display_name`' ? `'copy-${count}'` : value)).join(', ')
  await lab.sql(`insert into volumes (${names}) select ${marked} from volumes join seq_1_to_${count} where id='${id}'`)
  const project = (await user.token()).project
  const found = await lab.sql(`select id from volumes where display_name='copy-${count}' and project_id='${project}'`)
  return found.trim().split('\n')
}

beforeAll(async () => {
  lab = await sharedCinder()
  user = await lab.project()
  const original = await makeVolume(user, 1)
  ids = await copies(original, wanted, others / wanted)
  for (const id of ids) {
    const handle = await open(join(lab.volumes, id), 'wx')
    await handle.truncate(Number(GiB))
    await handle.close()
  }
  await copies(original, others, 1)
})

test('two hundred volumes among two thousand others: no call for each volume and look', async () => {
  const { expander, calls } = counted(optionsOf(user))
  const begun = performance.now()
  const run = expandMany(
    ids.map((id) => ({ volume: volumeOf(expander, id), to: '2Gi', timeouts: { backend: 900_000 } })),
    { concurrency: wanted },
  )
  const results = await run
  const seconds = Math.round((performance.now() - begun) / 100) / 10
  for (const id of ids) expect(await fileSize(lab, id)).toBe(gib(2))
  expect(results).toBeDefined()
  const of = (pattern: RegExp): typeof calls => calls.filter(({ method, path }) => pattern.test(`${method} ${path}`))
  const kilobytes = (list: typeof calls): number => Math.round(list.reduce((sum, { bytes }) => sum + bytes, 0) / 1024)
  const actions = of(/^POST \/volumes\/.*\/action/)
  const tokens = of(/^POST .*\/auth\/tokens/)
  const single = of(/^GET \/volumes\/[0-9a-f-]{36}$/)
  const full = of(/^GET \/volumes\/detail\?limit=1000(?!.*updated_at)/)
  const changed = of(/^GET \/volumes\/detail\?.*updated_at/)
  console.log(
    `${wanted} of ${wanted + others + 1} volumes in ${seconds} s: ${calls.length} calls: ${tokens.length} token, ${actions.length} actions, ` +
      `${full.length} pages of the whole list (${kilobytes(full)} KiB), ${changed.length} lists of what has changed (${kilobytes(changed)} KiB), ` +
      `${single.length} single volumes (${kilobytes(single)} KiB), ${calls.length - tokens.length - actions.length - full.length - changed.length - single.length} others`,
  )
  expect(tokens).toHaveLength(1)
  expect(actions).toHaveLength(wanted)
  expect(of(/all_tenants/)).toHaveLength(0)
  // Each volume is looked at several times; one by one that would be thousands of calls.
  expect(calls.length - actions.length).toBeLessThan(2 * wanted)
}, 1_200_000)
