import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { file } from '../../../providers/file/index.ts'
import { type ExpandRequest, type ExpansionEvent, expand, localHost, plan } from '../../../src/index.ts'
import { expectSound } from '../support/checks.ts'
import { run, until } from '../support/commands.ts'
import { expectContent, writeContent } from '../support/content.ts'
import { Disk } from '../support/disk.ts'
import {
  type LuksOptions,
  luksOn,
  mounted,
  passphrase,
  refusalOf,
  sizeOf,
  unmounted,
  watchFor,
  withKey,
} from '../support/mappings.ts'
import { intactRecords, startWriter } from '../support/writer.ts'

const MiB = 2n ** 20n
const toText = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? `${each}` : each))

interface Container {
  readonly disk: Disk
  readonly mapping: string
  readonly mountPoint: string
}

async function container(options: LuksOptions): Promise<Container> {
  const disk = new Disk(64n * MiB)
  const mapping = luksOn(await disk.attach(), options)
  run('mkfs.ext4', '-q', mapping)
  return { disk, mapping, mountPoint: mounted(mapping) }
}

const requestFor = ({ disk }: Container, more: Partial<ExpandRequest> = {}): ExpandRequest =>
  ({ volume: file().volume(disk.image), host: localHost(), to: '128Mi', ...more }) as ExpandRequest

const luks1: LuksOptions = { name: 'vault-1', type: 'luks1' }
const luks2: LuksOptions = { name: 'vault-2', type: 'luks2' }

describe('an open container with ext4, online', () => {
  test.each([
    ['LUKS1', luks1, 2n, 0],
    ['LUKS2', luks2, 16n, 1],
    ['LUKS2 in sectors of 4096 bytes', { ...luks2, format: ['--sector-size', '4096'] }, 16n, 1],
    ['LUKS2 with a long header', { ...luks2, format: ['--luks2-metadata-size', '64k'] }, 16n, 1],
    ['LUKS2 whose key is not in the keyring', { ...luks2, open: ['--disable-keyring'] }, 16n, 1],
  ] as const)('%s', async (_, options, header, asked) => {
    const made = await container(options)
    const content = writeContent(made.mountPoint)
    const writer = await startWriter(join(made.mountPoint, 'records'))
    const seen = watchFor(passphrase)
    let calls = 0
    const request = requestFor(made, {
      luksKey: async ({ uuid }) => {
        expect(uuid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
        calls += 1
        return passphrase
      },
    })
    const planned = await plan(request)
    const events: ExpansionEvent[] = []
    const growing = expand(request)
    for await (const event of growing) events.push(event)
    const report = await growing
    expect(report.layers.map(({ kind, after }) => [kind, after])).toEqual([
      ['volume', 128n * MiB],
      ['device', 128n * MiB],
      ['luks', (128n - header) * MiB],
      ['filesystem', (128n - header) * MiB],
    ])
    expect(planned.actions.find(({ layer }) => layer === 'luks')?.after).toBe((128n - header) * MiB)
    expect(calls).toBe(asked * 2)
    expect(seen()).toEqual([])
    expect(toText([planned, events, report])).not.toContain(passphrase)
    // Again: nothing to do, and no key is asked for.
    expect(await expand(request)).toMatchObject({ changed: false, actions: [] })
    expect(calls).toBe(asked * 2)
    const confirmed = await writer.stop()
    await unmounted(made.mountPoint)
    expectSound(made.mapping, 'ext')
    const again = mounted(made.mapping)
    expectContent(again, content)
    expect(intactRecords(join(again, 'records'))).toBeGreaterThanOrEqual(confirmed)
  })

  test('a container that was resized before a run died: the filesystem follows, without a key', async () => {
    const made = await container(luks2)
    made.disk.resize(128n * MiB)
    withKey('cryptsetup', 'resize', '--key-file', '-', luks2.name)
    const report = await expand({ host: localHost(), path: made.mountPoint, to: 'fill' })
    expect(report.actions.map(({ layer }) => layer)).toEqual(['filesystem'])
    expect(report.layers.at(-1)?.after).toBe(112n * MiB)
  })
})

describe('nothing is touched', () => {
  test.each([
    ['without a key', {}, 'key-needed'],
    ['with a wrong key', { luksKey: async (): Promise<string> => 'canary-that-is-wrong' }, 'key-rejected'],
    [
      'with a key that ends with a line end',
      { luksKey: async (): Promise<string> => `${passphrase}\n` },
      'key-rejected',
    ],
  ] as const)('%s', async (_, options, code) => {
    const made = await container(luks2)
    const seen = watchFor('canary')
    const error = await refusalOf(expand(requestFor(made, options)))
    expect(error).toMatchObject({ code, layer: 'luks', outcome: 'unchanged' })
    expect(error.remedy).toContain('key')
    expect(`${toText(error)}${error.stack}`).not.toContain('canary')
    expect(seen()).toEqual([])
    expect([made.disk.size, sizeOf(made.disk.device), sizeOf(made.mapping)]).toEqual([64n * MiB, 64n * MiB, 48n * MiB])
  })

  test('a detached header', async () => {
    const disk = new Disk(64n * MiB)
    const header = ['--header', new Disk(16n * MiB, { name: 'header.img' }).image]
    const mapping = luksOn(await disk.attach(), { ...luks2, format: header, open: header })
    run('mkfs.ext4', '-q', mapping)
    const made = { disk, mapping, mountPoint: mounted(mapping) }
    const request = requestFor(made, { path: made.mountPoint, luksKey: async () => passphrase })
    const error = await refusalOf(expand(request))
    expect(error).toMatchObject({ code: 'unsupported-feature', layer: 'luks', outcome: 'unchanged' })
    expect(error.message).toContain('detached header')
    expect(disk.size).toBe(64n * MiB)
  })

  test('a size that would end within an encryption sector: the container could not be opened again', async () => {
    const made = await container({ ...luks2, format: ['--sector-size', '4096'] })
    made.disk.resize(128n * MiB + 512n)
    const error = await refusalOf(
      expand({ host: localHost(), path: made.mountPoint, to: 'fill', luksKey: async () => passphrase }),
    )
    expect(error).toMatchObject({ code: 'unsupported-feature', layer: 'luks', outcome: 'unchanged' })
    expect(sizeOf(made.mapping)).toBe(48n * MiB)
  })

  test('a container that is closed is named', async () => {
    const disk = new Disk(64n * MiB)
    const device = await disk.attach()
    withKey(
      'cryptsetup',
      'luksFormat',
      '--batch-mode',
      '--pbkdf',
      'pbkdf2',
      '--pbkdf-force-iterations',
      '1000',
      '--key-file',
      '-',
      device,
    )
    const error = await refusalOf(expand({ volume: file().volume(disk.image), host: localHost(), device, to: '128Mi' }))
    expect(error.outcome).toBe('unchanged')
    expect(error.message).toMatch(/LUKS/)
    await until('the image to be as it was', () => disk.size === 64n * MiB)
  })
})
