import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ResizerSetup, resizerCases } from '../../src/conformance/resizers.ts'
import type { ConformanceCase } from '../../src/conformance/suite.ts'
import { ext } from '../../src/filesystems/ext/index.ts'
import type { FilesystemResizer } from '../../src/filesystems/filesystem.ts'
import { localHost } from '../../src/hosts/local/index.ts'
import { bytes, MiB } from '../../src/size.ts'

let directory: string

beforeAll(() => {
  directory = fs.mkdtempSync(`${os.tmpdir()}/volume-expander-`)
})

afterAll(() => {
  fs.rmSync(directory, { recursive: true, force: true })
})

function tool(program: string, ...args: readonly string[]): string {
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }
  return execFileSync(program, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'] })
}

function setupOf(resizer: FilesystemResizer, ...mkfs: readonly string[]): ResizerSetup {
  const [program = '', ...args] = mkfs
  let count = 0
  return {
    resizer,
    host: localHost(),
    from: bytes(64n * MiB),
    to: bytes(150n * MiB),
    async makeImage(size) {
      count += 1
      const path = `${directory}/${resizer.name}-${count}.img`
      fs.writeFileSync(path, '')
      fs.truncateSync(path, Number(size))
      tool(program, ...args, path)
      return path
    },
    async setSize(path, size) {
      fs.truncateSync(path, Number(size))
    },
    async realSize(path) {
      const text = tool('dumpe2fs', '-h', path)
      const field = (name: string): bigint => BigInt(new RegExp(`^${name}:\\s+(\\d+)$`, 'm').exec(text)?.[1] ?? '-1')
      return bytes(field('Block count') * field('Block size'))
    },
    async removeImage(path) {
      fs.rmSync(path)
    },
  }
}

const makers = [
  ['mkfs.ext4', '-q'],
  ['mkfs.ext4', '-q', '-b', '4096', '-O', '^64bit,^metadata_csum'],
  ['mkfs.ext3', '-q', '-b', '1024'],
  ['mkfs.ext2', '-q'],
] as const

describe.each(makers.map((mkfs) => ({ name: mkfs.join(' '), mkfs })))('$name', ({ mkfs }) => {
  test.each(resizerCases(setupOf(ext, ...mkfs)).map((each) => ({ ...each })))('$name', ({ run }) => run())
})

/** Broken resizers, each with the case that has to reject it. */
const mutants: readonly (readonly [string, Partial<FilesystemResizer>, string])[] = [
  ['detects nothing', { detect: () => false }, 'detects its own filesystem'],
  ['detects everything', { detect: () => true }, 'detects nothing else'],
  [
    'measures a block too little',
    { measure: (device, snapshot) => withSize(ext.measure(device, snapshot), -1024n) },
    'measures the size that the filesystem has',
  ],
  [
    'always runs the tool',
    {
      grow: (device, snapshot, context) => ({
        ...ext.grow(device, snapshot, context),
        commands: [{ exec: ['resize2fs', device.path], detached: true, lock: [device.path] }],
      }),
    },
    'has nothing to do when the device has not grown',
  ],
  [
    'predicts a shrunk filesystem',
    {
      grow: (device, snapshot, context) => {
        const growth = ext.grow(device, snapshot, context)
        return { ...growth, after: bytes(growth.after - 4096n) }
      },
    },
    'never predicts less than there is',
  ],
  [
    'does not compare the sizes',
    { grow: (device, snapshot, context) => ({ ...ext.grow(device, snapshot, context), findings: [] }) },
    'refuses a device that is smaller than the filesystem',
  ],
  [
    'takes offline writes for granted',
    { grow: (device, snapshot, context) => ext.grow(device, snapshot, { ...context, offline: true }) },
    'asks for permission to write offline',
  ],
  [
    'does not look at who has it',
    {
      grow: (device, snapshot, context) => {
        const { backendUsers: _, ...rest } = context
        const { users } = device
        const free = {
          ...device,
          holders: [],
          partitions: [],
          ...(users === undefined ? {} : { users: nobodyOf(users) }),
        }
        return ext.grow(free, snapshot, rest)
      },
    },
    'refuses offline what somebody has',
  ],
  [
    'trusts what it cannot see',
    {
      grow: (device, snapshot, context) =>
        ext.grow(device, snapshot, { ...context, backendUsers: { known: true, others: [] } }),
    },
    'refuses offline what may be in use elsewhere',
  ],
  [
    'overlooks a read-only device',
    { grow: (device, snapshot, context) => ext.grow({ ...device, readOnly: false }, snapshot, context) },
    'refuses a device that cannot be written',
  ],
  [
    'passes a computed size',
    {
      grow: (device, snapshot, context) => {
        const growth = ext.grow(device, snapshot, context)
        const commands = growth.commands.map((item) => ({ ...item, exec: [...item.exec, `${growth.after / 1024n}k`] }))
        return { ...growth, commands }
      },
    },
    'prescribes commands that hold the lock themselves, and never a size',
  ],
  [
    'predicts too much',
    {
      grow: (device, snapshot, context) => {
        const growth = ext.grow(device, snapshot, context)
        return { ...growth, after: bytes(growth.after + 1024n) }
      },
    },
    'grows to what it predicted, and then has nothing to do',
  ],
  [
    'stumbles over a damaged superblock',
    {
      measure: (device, snapshot) => {
        try {
          return ext.measure(device, snapshot)
        } catch {
          throw new RangeError('offset is outside the bounds of the DataView')
        }
      },
    },
    'is not led astray by damaged bytes',
  ],
]

function withSize<State extends { readonly size: bigint }>(
  state: State,
  by: bigint,
): State & { size: ReturnType<typeof bytes> } {
  return { ...state, size: bytes(state.size + by) }
}

function nobodyOf<Users extends object>(users: Users): Users & { exclusive: 'free'; swap: false } {
  return { ...users, openers: [], loops: [], foreignMounts: [], exclusive: 'free', swap: false }
}

describe('the suite rejects a resizer that', () => {
  test.each(mutants.map(([name, part, rejectedBy]) => ({ name, part, rejectedBy })))(
    '$name',
    async ({ part, rejectedBy }) => {
      const cases = resizerCases(setupOf({ ...ext, ...part }, 'mkfs.ext4', '-q'))
      const rejecting = cases.find(({ name }) => name.endsWith(rejectedBy))
      expect(rejecting).toBeDefined()
      await expect((rejecting as ConformanceCase).run()).rejects.toThrow()
    },
  )
})
