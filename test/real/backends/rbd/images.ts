import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import type { RbdCluster } from '../../../../providers/rbd/commands.ts'
import { commandClient } from '../../../../providers/rbd/commands.ts'
import { rbdExpander } from '../../../../providers/rbd/expander.ts'
import type { RbdRef } from '../../../../providers/rbd/ref.ts'
import { VolumeExpansionError } from '../../../../src/errors.ts'
import type { VolumeExpander, VolumeState } from '../../../../src/expander.ts'
import { type Bytes, bytes, MiB } from '../../../../src/size.ts'
import type { CephLab } from '../../../lab/ceph/ceph.ts'

/** A multiple of 1 MiB. */
export function mebibytes(count: number): Bytes {
  return bytes(BigInt(count) * MiB)
}

/** The provider as client.cinder, with a deadline that fits tests. */
export function expanderFor(lab: CephLab, cluster: RbdCluster = {}): VolumeExpander<RbdRef> {
  return rbdExpander(commandClient({ conf: lab.conf, user: 'cinder', timeout: 4000, ...cluster }))
}

interface ImageOptions {
  /** With a namespace behind a slash, where there is one. */
  readonly pool: string
  /** MiB. */
  readonly size: number
  readonly name: string
}

/** A new image of 64 MiB, unless said. */
export async function makeImage(lab: CephLab, options: Partial<ImageOptions> = {}): Promise<string> {
  const { pool = 'volumes', size = 64, name = `t-${randomUUID()}` } = options
  const spec = `${pool}/${name}`
  await lab.rbd('create', '--size', `${size}M`, spec)
  return spec
}

/** Bytes of an image, found out without the provider. */
export async function sizeOf(lab: CephLab, spec: string): Promise<bigint> {
  const { size }: { size: number } = JSON.parse(await lab.rbd('info', '--format', 'json', spec))
  return BigInt(size)
}

export async function stateOf(expander: VolumeExpander<RbdRef>, ref: RbdRef): Promise<VolumeState> {
  const [outcome] = await expander.read([ref], {})
  if (outcome === undefined || outcome instanceof Error) throw outcome
  return outcome
}

export function grow(expander: VolumeExpander<RbdRef>, ref: RbdRef, size: Bytes, signal?: AbortSignal): Promise<void> {
  return expander.expand(ref, { size, options: undefined, requestId: randomUUID(), ...(signal && { signal }) })
}

/** The error that a promise has to end with. */
export async function failureOf(promise: Promise<unknown>): Promise<VolumeExpansionError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof VolumeExpansionError) return error
    throw error
  }
  throw new Error('It was to fail.')
}

/** Somebody who writes to an image by librbd for as long as the test runs, and holds its exclusive lock. */
export async function writeTo(lab: CephLab, spec: string): Promise<ChildProcess> {
  const bench = ['bench', '--io-type', 'write', '--io-size', '4096', '--io-threads', '1', '--io-total', '1T', spec]
  const child = spawn('rbd', ['-c', lab.conf, ...bench], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  for (;;) {
    const { watchers }: { watchers: unknown[] } = JSON.parse(await lab.rbd('status', '--format', 'json', spec))
    if (watchers.length > 0) return child
    if (child.exitCode !== null) throw new Error(`The writer to ${spec} has ended.`)
  }
}
