import { mkdtemp, open, rm, stat, symlink, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileExpander } from '../../providers/file/expander.ts'
import { type ProviderSetup, providerCases } from '../../src/conformance/index.ts'
import type { Bytes } from '../../src/size.ts'

let directory: string
let files = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'volume-expander-conformance-'))
})

afterAll(() => rm(directory, { recursive: true, force: true }))

/** An ordinary file with a name that nothing may interpret. */
async function makeVolume(): ReturnType<ProviderSetup<string>['volume']> {
  files += 1
  const ref = join(directory, `-- a "disk" $(touch x) 'of'\nlines ${files}.img`)
  const linked = join(directory, `link-${files}.img`)
  const handle = await open(ref, 'wx')
  await handle.truncate(1024 * 1024)
  await handle.close()
  await symlink(ref, linked)
  return {
    ref,
    spellings: [`${directory}/./${ref.slice(directory.length)}`, linked],
    measure: async () => (await stat(ref, { bigint: true })).size,
    grow: (size: Bytes) => truncate(ref, Number(size)),
  }
}

const setup: ProviderSetup<string> = {
  expander: fileExpander(),
  volume: makeVolume,
  missing: join(tmpdir(), 'volume-expander-conformance-nowhere', 'missing.img'),
  malformed: [
    '',
    'disk.img',
    './disk.img',
    '/srv/disk\0.img',
    '/',
    '/srv/',
    '/srv/..',
    '/srv/\ud800.img',
    42,
    null,
    {},
  ],
  pause: async () => {},
}

describe('file()', () => {
  for (const { name, run, skip } of providerCases(setup)) {
    if (skip === undefined) test(name, run)
  }

  test('leaves out only what files do not have', () => {
    const skipped = providerCases(setup).filter(({ skip }) => skip !== undefined)
    expect(skipped.map(({ skip }) => skip)).toEqual([
      'the setup cannot lose an answer',
      'the setup has no host',
      'the provider was given no secrets',
      'the provider has no parts',
      'the provider has no PersistentVolumes',
      ...Array.from({ length: 5 }, () => 'the provider has no snapshots'),
    ])
  })
})
