import { expect } from 'vitest'
import {
  type ExpandRequest,
  expand,
  type LayerKind,
  type Plan,
  type Report,
  VolumeExpansionError,
} from '../../../../src/index.ts'
import { until } from '../../support/commands.ts'
import { expectGuestContent, type GuestContent, writeGuestContent } from './content.ts'
import type { Node } from './node.ts'
import { type GuestWriter, intactGuestRecords, startGuestWriter } from './writer.ts'

/** A mounted filesystem with things to lose, and a process that goes on writing to it. */
export class FilesystemInUse {
  readonly device: string
  readonly #node: Node
  readonly #content: GuestContent
  #mountPoint: string
  #writer: GuestWriter

  private constructor(node: Node, device: string, mountPoint: string, content: GuestContent, writer: GuestWriter) {
    this.#node = node
    this.device = device
    this.#mountPoint = mountPoint
    this.#content = content
    this.#writer = writer
  }

  /** Makes the filesystem and everything else. */
  static async on(node: Node, device: string, mkfs: readonly string[]): Promise<FilesystemInUse> {
    await node.shell.run(...mkfs, device)
    const mountPoint = await node.mount(device)
    const content = await writeGuestContent(node.shell, mountPoint)
    const writer = await startGuestWriter(node.shell, `${mountPoint}/records`)
    return new FilesystemInUse(node, device, mountPoint, content, writer)
  }

  /** Another one after a reset of the node. */
  get mountPoint(): string {
    return this.#mountPoint
  }

  /** Records that are known to be on the disk. */
  get confirmed(): number {
    return this.#writer.confirmed()
  }

  /** Mounts it again on a node that was reset, which ended the writer: what that had confirmed is there, and another one writes from now on. */
  async revive(): Promise<void> {
    const { shell } = this.#node
    this.#mountPoint = await this.#node.mount(this.device)
    await this.#expectRecords(this.#writer.confirmed())
    await shell.run('rm', `${this.#mountPoint}/records`)
    this.#writer = await startGuestWriter(shell, `${this.#mountPoint}/records`)
  }

  /** That the writer still writes, that the filesystem is without a fault, and that it holds all that was confirmed. */
  async expectIntact(): Promise<void> {
    const before = this.#writer.confirmed()
    await until('a record after the growth', () => this.#writer.confirmed() > before)
    const confirmed = await this.#writer.stop()
    const { shell } = this.#node
    await shell.run('umount', this.mountPoint)
    await this.expectSound()
    await shell.run('mount', this.device, this.mountPoint)
    await expectGuestContent(shell, this.mountPoint, this.#content)
    await this.#expectRecords(confirmed)
  }

  async #expectRecords(confirmed: number): Promise<void> {
    expect(await intactGuestRecords(this.#node.shell, `${this.mountPoint}/records`)).toBeGreaterThanOrEqual(confirmed)
  }

  async expectSound(): Promise<void> {
    const type = await this.#node.shell.run('blkid', '-p', '-o', 'value', '-s', 'TYPE', this.device)
    const check = type === 'xfs' ? ['xfs_repair', '-n'] : ['e2fsck', '-f', '-n']
    await this.#node.shell.run(...check, this.device)
  }
}

/** That a request grows these layers as planned, and that a second call finds nothing to do. */
export async function expectGrownOnNode(request: ExpandRequest, kinds: readonly LayerKind[]): Promise<Report> {
  const run = expand(request)
  let planned: Plan | undefined
  for await (const event of run) if (event.type === 'planned') planned = event.plan
  const report = await run
  expect(planned?.layers.map(({ kind }) => kind)).toEqual(kinds)
  expect(report.changed).toBe(true)
  expect(report.actions.map(({ status }) => status)).toEqual(report.actions.map(() => 'done'))
  expect(report.layers.map(({ after }) => after)).toEqual(planned?.layers.map(({ after }) => after))
  for (const { before, after, label } of report.layers) expect(after, label).toBeGreaterThan(before)
  expect(await expand(request)).toMatchObject({ changed: false, actions: [] })
  return report
}

/** The error that a run ends with. */
export async function failureOf(run: PromiseLike<unknown>): Promise<VolumeExpansionError> {
  const thrown = await run.then(
    (value) => new Error(`It did not fail: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  if (!(thrown instanceof VolumeExpansionError)) throw thrown
  return thrown
}
