import { file } from '../../providers/file/index.ts'
import {
  type ExpandRequest,
  expand,
  type Finding,
  localHost,
  type Report,
  VolumeExpansionError,
} from '../../src/index.ts'
import { faultOf, type Image, mount, unmount } from './disk.ts'
import { Belongings } from './records.ts'
import type { Subject } from './subjects.ts'

/** A disk in use: what stands on it is mounted, and holds what somebody would miss. */
export class World {
  readonly subject: Subject
  readonly image: Image
  readonly belongings: Belongings
  readonly #directory: string
  #device: string
  #mountPoint: string

  private constructor(subject: Subject, image: Image, directory: string, device: string) {
    this.subject = subject
    this.image = image
    this.#directory = directory
    this.#device = device
    this.#mountPoint = mount(device, directory)
    this.belongings = Belongings.put(this.#mountPoint)
  }

  static make(subject: Subject, image: Image, directory: string): World {
    return new World(subject, image, directory, subject.make(image.attach()))
  }

  get mountPoint(): string {
    return this.#mountPoint
  }

  /** The filesystem's device. */
  get device(): string {
    return this.#device
  }

  /** Unmounts and mounts it. @returns what is wrong with the filesystem or is missing from it */
  async examine(): Promise<readonly string[]> {
    await unmount(this.#mountPoint)
    const fault = faultOf(this.subject, this.#device)
    this.#mountPoint = mount(this.#device, this.#directory)
    return [...(fault === undefined ? [] : [fault]), ...this.belongings.missing(this.#mountPoint)]
  }

  /** Leaves the disk as a machine that is shut down does. */
  async leave(): Promise<void> {
    await unmount(this.#mountPoint)
    await this.subject.deactivate()
    await this.image.detach()
  }
}

function requestOn({ luksKey }: Subject, image: Image, to: bigint): ExpandRequest {
  const key = luksKey === undefined ? {} : { luksKey }
  return { volume: file().volume(image.path), host: localHost(), to: `${to}`, ...key }
}

/** A run that ended well, or why it did not. */
export type Ending = Report | VolumeExpansionError

export async function endingOf(request: ExpandRequest): Promise<Ending> {
  try {
    return await expand(request)
  } catch (error) {
    if (error instanceof VolumeExpansionError) return error
    throw error
  }
}

/** For people: what a run that was to end well ended with instead. */
export function told(error: VolumeExpansionError): string {
  return `${error.code} (${error.layer}, ${error.outcome}): ${error.message}`
}

/** What is not as an undisturbed run leaves it. */
function deviations(report: Report, { subject }: { readonly subject: Subject }, to: bigint): readonly string[] {
  const wanted: Readonly<Record<string, bigint>> = { volume: to, device: to, filesystem: subject.filling(to) }
  return Object.entries(wanted).flatMap(([kind, size]) => {
    const layer = report.layers.find((candidate) => candidate.kind === kind)
    return layer?.after === size ? [] : [`the ${kind} has ${layer?.after} bytes and was to have ${size}`]
  })
}

export interface Completion {
  /** Layers that were grown. */
  readonly grown: readonly string[]
  /** What was not as planned. */
  readonly wrong: readonly string[]
  /** What the library says of it in the end. */
  readonly findings: readonly Finding[]
}

/** Runs it to its end as somebody would after a crash. */
export async function completed(world: Pick<World, 'subject' | 'image'>, to: bigint): Promise<Completion> {
  const report = await endingOf(requestOn(world.subject, world.image, to))
  if (report instanceof VolumeExpansionError) {
    return { grown: [], wrong: [`the next run ended with ${told(report)}`], findings: [] }
  }
  const grown = report.actions.map(({ layer }) => layer)
  const again = await endingOf(requestOn(world.subject, world.image, to))
  const repeated =
    again instanceof VolumeExpansionError
      ? [`the run after it ended with ${told(again)}`]
      : again.changed
        ? [`the run after it grew ${again.actions.map(({ layer }) => layer).join(', ')} once more`]
        : []
  const findings = again instanceof VolumeExpansionError ? [] : again.findings
  return { grown, wrong: [...deviations(report, world, to), ...repeated], findings }
}
