import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import { dirname } from 'node:path'
import { type ConformanceCase, type ResizerSetup, resizerCases } from '../../../src/conformance/index.ts'
import { ext } from '../../../src/filesystems/ext/index.ts'
import type { FilesystemResizer } from '../../../src/filesystems/filesystem.ts'
import type { ExecItem } from '../../../src/hosts/host.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import { bytes, MiB } from '../../../src/size.ts'
import type { Suite } from './mutant.ts'

function tool(program: string, ...args: readonly string[]): string {
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }
  return execFileSync(program, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'] })
}

/** Images of the family of ext that `mkfs` makes, each in a directory of its own. */
export function extSetup(resizer: FilesystemResizer, ...mkfs: readonly string[]): ResizerSetup {
  const [program = '', ...args] = mkfs
  return {
    resizer,
    host: localHost(),
    from: bytes(64n * MiB),
    to: bytes(150n * MiB),
    async makeImage(size) {
      const path = `${fs.mkdtempSync(`${os.tmpdir()}/volume-expander-`)}/disk.img`
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
      fs.rmSync(dirname(path), { recursive: true })
    },
  }
}

/** A resizer whose commands are changed before anyone runs them. */
const grows =
  (change: (item: ExecItem) => ExecItem): FilesystemResizer['grow'] =>
  (device, snapshot, context) => {
    const growth = ext.grow(device, snapshot, context)
    return { ...growth, commands: growth.commands.map(change) }
  }

/** Broken resizers: what they do, the part of the good one that is replaced, and the case that has to reject it. */
const broken: readonly (readonly [string, Partial<FilesystemResizer>, string])[] = [
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
  [
    'changes the snapshot',
    {
      measure: (device, snapshot) => {
        Object.assign(device, { readOnly: true })
        return ext.measure(device, snapshot)
      },
    },
    'is the same every time, and changes nothing that it is given',
  ],
  [
    'predicts by the clock',
    {
      grow: (device, snapshot, context) => ({
        ...ext.grow(device, snapshot, context),
        summary: `at ${process.hrtime.bigint()}`,
      }),
    },
    'is the same every time, and changes nothing that it is given',
  ],
  [
    'invents a code',
    {
      grow: (device, snapshot, context) => ({
        ...ext.grow(device, snapshot, context),
        findings: [{ code: 'bad-luck' as 'in-use', severity: 'note', layer: 'filesystem', message: 'It is so.' }],
      }),
    },
    'has findings that can be shown',
  ],
  [
    'expects nothing before it writes',
    { grow: (device, snapshot, context) => ({ ...ext.grow(device, snapshot, context), expect: [] }) },
    'prescribes commands that hold the lock themselves, and never a size',
  ],
  [
    'lets its tool die with the caller',
    { grow: grows(({ detached: _, ...item }) => item) },
    'prescribes commands that hold the lock themselves, and never a size',
  ],
  [
    'takes no lock',
    { grow: grows(({ lock: _, ...item }) => item) },
    'prescribes commands that hold the lock themselves, and never a size',
  ],
  [
    'does not say which tools it needs',
    {
      grow: (device, snapshot, context) => ({
        ...ext.grow(device, snapshot, context),
        tools: [{ name: 'true', packages: 'coreutils' }],
      }),
    },
    'prescribes commands that hold the lock themselves, and never a size',
  ],
  [
    'writes a shell line',
    { grow: grows((item) => ({ ...item, exec: ['sh', '-c', item.exec.join(' ')] })) },
    'prescribes commands that hold the lock themselves, and never a size',
  ],
  [
    'believes that a tool which says so has grown it',
    { grow: grows((item) => ({ ...item, exec: ['true', ...item.exec.slice(1)] })) },
    'grows to what it predicted, and then has nothing to do',
  ],
  [
    'takes a size that it cannot see for 0',
    { measure: (device, snapshot) => ({ ...ext.measure(device, snapshot), size: bytes(0) }) },
    'measures the size that the filesystem has',
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

export const resizers: Suite = {
  name: 'resizer',
  isQuick: false,
  good: () => casesOf({}),
  mutants: broken.map(([does, part, killedBy]) => ({ does, killedBy: [killedBy], cases: () => casesOf(part) })),
}

function casesOf(part: Partial<FilesystemResizer>): readonly ConformanceCase[] {
  return resizerCases(extSetup({ ...ext, ...part }, 'mkfs.ext4', '-q'))
}
