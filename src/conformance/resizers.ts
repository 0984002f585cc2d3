import { isDeepStrictEqual } from 'node:util'
import { VolumeExpansionError } from '../errors.ts'
import type { FilesystemResizer } from '../filesystems/filesystem.ts'
import { findingCodes } from '../findings.ts'
import type { DeviceSnapshot, Host, StorageSnapshot, UsersSnapshot } from '../hosts/host.ts'
import type { Growth, GrowthContext } from '../layers/layer.ts'
import { type Bytes, bytes, MiB } from '../size.ts'
import { type ConformanceCase, ConformanceFailure, holds } from './suite.ts'

/** What the suite needs to put a resizer to the test. Everything happens in image files: no right is needed that the family's tools do not need. */
export interface ResizerSetup {
  readonly resizer: FilesystemResizer
  /** Carries out what the resizer prescribes, on the images. */
  readonly host: Pick<Host, 'batch'>
  /** Bytes of a fresh filesystem, and of the device that it is then grown to fill; `to` leaves room for growth. */
  readonly from: Bytes
  readonly to: Bytes
  /** Makes a filesystem of this family, unused and clean, in a new file of so many bytes, and resolves with its absolute path. */
  makeImage(size: Bytes): Promise<string>
  /** Gives the file another size, without touching what is in it. */
  setSize(path: string, size: Bytes): Promise<void>
  /** Bytes that the filesystem spans, according to a tool of the family that is independent of the resizer. */
  realSize(path: string): Promise<Bytes>
  removeImage(path: string): Promise<void>
}

/** Nobody has it, and everybody could be looked at. */
const nobody: UsersSnapshot = {
  complete: true,
  foreignMounts: [],
  openers: [],
  loops: [],
  localBacking: true,
  swap: false,
}

interface Subject {
  readonly path: string
  readonly device: DeviceSnapshot
  readonly snapshot: StorageSnapshot
}

/** The contract of a {@link FilesystemResizer}, as cases for any test runner. Each makes its own image. */
export function resizerCases(setup: ResizerSetup): readonly ConformanceCase[] {
  const { resizer } = setup
  const cases: Record<string, (subject: Subject) => Promise<void> | void> = {
    'detects its own filesystem': ({ device }) => {
      holds(resizer.detect(device), 'detect() says false of a filesystem of its own family')
    },

    'detects nothing else': ({ device }) => {
      for (const [what, content] of strangers()) {
        holds(!resizer.detect(withContent(device, content)), `detect() says true of ${what}`)
      }
      const unreadable: DeviceSnapshot = { ...device, probe: { ok: false, errno: 'EIO', message: 'read error' } }
      holds(!resizer.detect(unreadable), 'detect() says true of a device that could not be read')
    },

    'measures the size that the filesystem has': async ({ path, device, snapshot }) => {
      const { size } = resizer.measure(device, snapshot)
      const real = await setup.realSize(path)
      holds(size === real, `measure() says ${size} bytes, the filesystem has ${real}`)
      holds(resizer.measure(device, snapshot).size === size, 'measure() says something else when it is asked again')
    },

    'is the same every time, and changes nothing that it is given': ({ device, snapshot }) => {
      const before = structuredClone([device, snapshot])
      for (const ask of [
        () => resizer.detect(device),
        () => resizer.measure(device, snapshot),
        () => resizer.grow(device, snapshot, goal(setup)),
      ]) {
        holds(isDeepStrictEqual(ask(), ask()), 'one question had two answers')
      }
      // Cloned as well, since a clone of a Buffer is a Uint8Array.
      holds(isDeepStrictEqual(structuredClone([device, snapshot]), before), 'the snapshot was changed')
    },

    'has findings that can be shown': ({ device, snapshot }) => {
      const { size } = resizer.measure(device, snapshot)
      const contexts = [goal(setup), goal(setup, { offline: false }), goal(setup, { available: bytes(size - 512n) })]
      for (const { code, severity, message } of contexts.flatMap(
        (each) => resizer.grow(device, snapshot, each).findings,
      )) {
        holds(code in findingCodes, `${code} is not a finding's code`)
        holds(['blocker', 'warning', 'note'].includes(severity), `${severity} is not a severity`)
        holds(message !== '', 'a finding has a message')
      }
    },

    'has nothing to do when the device has not grown': ({ device, snapshot }) => {
      const { size } = resizer.measure(device, snapshot)
      for (const offline of [true, false]) {
        const growth = resizer.grow(device, snapshot, { available: size, offline })
        expectIdle(growth, size)
        holds(blockers(growth).length === 0, 'nothing to do is no reason for a blocker')
      }
    },

    'never predicts less than there is': ({ device, snapshot }) => {
      const { size } = resizer.measure(device, snapshot)
      const random = randomNumbers(7)
      for (let round = 0; round < 200; round += 1) {
        const available = bytes(size + BigInt(random() % 2 ** (round % 32)))
        const growth = resizer.grow(device, snapshot, { available, offline: true })
        holds(growth.after >= size, `for ${available} bytes it predicts ${growth.after}, and ${size} are there`)
        holds(growth.after <= available, `for ${available} bytes it predicts ${growth.after}`)
        if (growth.after === size) holds(growth.commands.length === 0, 'it has commands for no growth')
      }
    },

    'refuses a device that is smaller than the filesystem': ({ device, snapshot }) => {
      const { size } = resizer.measure(device, snapshot)
      for (const missing of [1n, 512n, 4096n, MiB, size]) {
        const growth = resizer.grow(device, snapshot, { available: bytes(size - missing), offline: true })
        holds(growth.commands.length === 0, `it has commands for a device that is ${missing} bytes too small`)
        expectBlocker(growth, 'filesystem-larger-than-device')
      }
    },

    'asks for permission to write offline': ({ device, snapshot }) => {
      expectRefusal(resizer.grow(device, snapshot, goal(setup, { offline: false })), 'needs-offline')
    },

    'refuses offline what somebody has': ({ device, snapshot }) => {
      const user = { pid: 4711, command: 'qemu' }
      const uses: readonly Partial<DeviceSnapshot>[] = [
        { holders: ['dm-0'] },
        { partitions: ['loop0p1'] },
        { users: { ...nobody, openers: [{ ...user, writable: true }] } },
        { users: { ...nobody, openers: [{ ...user, writable: false }] } },
        { users: { ...nobody, loops: ['loop7'] } },
        { users: { ...nobody, exclusive: 'busy' } },
        { users: { ...nobody, swap: true } },
      ]
      for (const use of uses) {
        const used = { ...device, ...use }
        expectRefusal(resizer.grow(used, withDevice(snapshot, used), goal(setup)), 'in-use')
      }
      const attached = goal(setup, { backendUsers: { known: true, others: ['another machine'] } })
      expectRefusal(resizer.grow(device, snapshot, attached), 'in-use')
    },

    'refuses offline what may be in use elsewhere': ({ device, snapshot }) => {
      const { users: _, ...unseen } = device
      const partly = { ...device, users: { ...nobody, complete: false } }
      const remote = { ...device, users: { ...nobody, localBacking: false } }
      for (const doubtful of [unseen, partly, remote]) {
        expectRefusal(resizer.grow(doubtful, withDevice(snapshot, doubtful), goal(setup)), 'exclusivity-unknown')
      }
      const disk: DeviceSnapshot = { ...device, kind: 'block', id: '8:0', name: 'sda', path: '/dev/sda' }
      const free = { ...disk, users: { ...nobody, exclusive: 'free' } as const }
      expectRefusal(resizer.grow(free, withDevice(snapshot, free), goal(setup)), 'exclusivity-unknown')
    },

    'refuses a device that cannot be written': ({ device, snapshot }) => {
      const readOnly = { ...device, readOnly: true }
      expectRefusal(resizer.grow(readOnly, withDevice(snapshot, readOnly), goal(setup)), 'read-only')
    },

    'prescribes commands that hold the lock themselves, and never a size': ({ path, device, snapshot }) => {
      const growth = resizer.grow(device, snapshot, goal(setup))
      holds(growth.commands.length > 0, 'it has no commands for a growth')
      holds(growth.expect.length > 0, 'nothing is expected before the commands')
      holds(growth.tools.length > 0, 'it names no tools')
      for (const { exec, detached, lock } of growth.commands) {
        const program = exec[0]?.split('/').at(-1)
        holds(
          growth.tools.some(({ name }) => name === program),
          `${program} is not among the tools that are needed`,
        )
        holds(detached === true, `${exec[0]} is not detached`)
        holds(lock?.includes(path) === true, `${exec[0]} does not lock the image`)
        const size = exec.find((argument) => /^\d+[a-z]*$/i.test(argument) || argument === '-D')
        holds(size === undefined, `${exec[0]} is given an explicit size: ${size}`)
      }
    },

    'grows to what it predicted, and then has nothing to do': async ({ path, device, snapshot }) => {
      const growth = resizer.grow(device, snapshot, goal(setup))
      for (const result of await setup.host.batch([...growth.expect, ...growth.commands])) {
        holds(result.ok, `a prescribed item failed: ${JSON.stringify(result)}`)
      }
      const real = await setup.realSize(path)
      holds(real === growth.after, `${growth.after} bytes were predicted, ${real} reached`)
      const again = await look(setup, path)
      const { size } = resizer.measure(again.device, again.snapshot)
      holds(size === growth.after, `${growth.after} bytes were predicted, ${size} measured`)
      expectIdle(resizer.grow(again.device, again.snapshot, goal(setup)), size)
    },

    'is not led astray by damaged bytes': ({ device, snapshot }) => {
      const random = randomNumbers(42)
      for (let round = 0; round < 2000; round += 1) judgeDamaged(setup, mutated(device, random), snapshot)
    },
  }
  return Object.entries(cases).map(([name, check]) => ({
    name: `resizer ${resizer.name} ${name}`,
    run: () => withSubject(setup, check),
  }))
}

async function withSubject(setup: ResizerSetup, check: (subject: Subject) => Promise<void> | void): Promise<void> {
  const path = await setup.makeImage(setup.from)
  try {
    await setup.setSize(path, setup.to)
    await check(await look(setup, path))
  } finally {
    await setup.removeImage(path)
  }
}

async function look(setup: ResizerSetup, path: string): Promise<Subject> {
  const [seen] = await setup.host.batch([{ read: 'storage', at: { image: path } }])
  if (!seen.ok) throw new ConformanceFailure(`the image could not be looked at: ${seen.message}`)
  const [found] = seen.value.devices
  if (found === undefined) throw new ConformanceFailure('the image was not found')
  // The suite has made the image itself: that nobody else has it is known, whatever this host can see of other processes.
  const device = { ...found, users: nobody }
  return { path, device, snapshot: withDevice(seen.value, device) }
}

function withDevice(snapshot: StorageSnapshot, device: DeviceSnapshot): StorageSnapshot {
  return { ...snapshot, found: [device.id], devices: [device] }
}

function goal({ to }: ResizerSetup, part: Partial<GrowthContext> = {}): GrowthContext {
  return { available: to, offline: true, ...part }
}

function blockers({ findings }: Growth): readonly string[] {
  return findings.filter(({ severity }) => severity === 'blocker').map(({ code }) => code)
}

function expectIdle(growth: Growth, size: Bytes): void {
  holds(growth.commands.length === 0, 'it has commands although there is nothing to do')
  holds(
    growth.after === size,
    `it predicts ${growth.after} bytes although there is nothing to do, and ${size} are there`,
  )
}

function expectBlocker(growth: Growth, code: string): void {
  const found = blockers(growth)
  holds(found.includes(code), `the blocker ${code} is missing among: ${found.join(', ') || 'none'}`)
}

function expectRefusal(growth: Growth, code: string): void {
  expectBlocker(growth, code)
  holds(growth.commands.length === 0, `it has commands in spite of the blocker ${code}`)
}

/** Whatever the bytes are: an error of the contract, or a growth that keeps it. */
function judgeDamaged(setup: ResizerSetup, device: DeviceSnapshot, original: StorageSnapshot): void {
  const { resizer } = setup
  const snapshot = withDevice(original, device)
  if (!resizer.detect(device)) return
  try {
    const { size } = resizer.measure(device, snapshot)
    const growth = resizer.grow(device, snapshot, goal(setup))
    holds(growth.after >= size, `of damaged bytes it predicts ${growth.after}, and ${size} are there`)
    if (size > setup.to) holds(growth.commands.length === 0, 'it has commands for a filesystem larger than its device')
  } catch (error) {
    if (error instanceof ConformanceFailure) throw error
    holds(error instanceof VolumeExpansionError, `damaged bytes made it throw ${String(error)}`)
    holds(error.code === 'filesystem-damaged', `damaged bytes made it throw ${error.code}`)
  }
}

function mutated(device: DeviceSnapshot, random: () => number): DeviceSnapshot {
  if (!device.probe.ok) return device
  const ranges = device.probe.value.map(({ offset, bytes: content }) => ({ offset, bytes: Uint8Array.from(content) }))
  const [first] = ranges
  if (first === undefined) return device
  for (let count = 1 + (random() % 4); count > 0; count -= 1) {
    // Superblocks of all families lie in the first 2 KiB.
    first.bytes[random() % Math.min(2048, first.bytes.length)] = random() & 0xff
  }
  return { ...device, probe: { ok: true, value: ranges } }
}

function withContent(device: DeviceSnapshot, content: Uint8Array): DeviceSnapshot {
  return { ...device, probe: { ok: true, value: [{ offset: 0n, bytes: content }] } }
}

function strangers(): ReadonlyMap<string, Uint8Array> {
  const random = randomNumbers(1)
  const put = (text: string, offset: number): Uint8Array => {
    const content = new Uint8Array(20 * 1024)
    content.set(new TextEncoder().encode(text), offset)
    return content
  }
  return new Map([
    ['a blank device', new Uint8Array(20 * 1024)],
    ['random bytes', new Uint8Array(20 * 1024).map(() => random())],
    ['a device that is too small to hold one', new Uint8Array(1)],
    ['nothing at all', new Uint8Array(0)],
    ['LUKS', put('LUKS\u00ba\u00be', 0)],
    ['LVM', put('LABELONE', 512)],
    ['swap space', put('SWAPSPACE2', 4086)],
    ['a partition table', put('EFI PART', 512)],
  ])
}

/** The same numbers in every run (xorshift), so that a failure can be repeated. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}
