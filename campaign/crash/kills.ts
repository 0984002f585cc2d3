import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../src/testing/index.ts'
import { attempt } from '../../test/real/support/commands.ts'
import { Image } from './disk.ts'
import { type Boundary, Library } from './library.ts'
import type { Subject, SubjectName } from './subjects.ts'
import { completed, World } from './world.ts'

export interface KillOptions {
  readonly subject: Subject
  readonly seed: number
  /** Before each call that the library makes, and after the last. */
  readonly perBoundary: number
  /** At moments within the growth: so often the library alone, and as often with the tools that it has started, while they work. */
  readonly atRandom: number
  /** On tmpfs. */
  readonly directory: string
  /** See {@link import('./bundle.ts').Programs}. */
  readonly program: string
  readonly say: (line: string) => void
}

export interface KillResult {
  readonly subject: SubjectName
  readonly seed: number
  readonly boundaries: readonly { readonly at: string; readonly kills: number }[]
  readonly alone: number
  readonly withTools: number
  /** How often a program was at work and was killed too. */
  readonly tools: Readonly<Record<string, number>>
  /** Kills after which the next run had to do all, a part, or nothing of the growth. */
  readonly left: Readonly<Record<'all' | 'part' | 'nothing', number>>
  readonly failures: readonly string[]
  readonly seconds: number
}

/** When the library dies. */
type Death =
  | Boundary
  /** Alone, after a share of what an undisturbed growth takes. */
  | { readonly share: number }
  /** With the tools that it has started, after a share of what such a call takes. */
  | { readonly share: number; readonly within: string }

const step = 16n * 2n ** 20n
const layersOf = (subject: Subject): readonly string[] =>
  subject.name === 'stack'
    ? ['device', 'filesystem', 'luks', 'lvm', 'partition', 'volume']
    : ['device', 'filesystem', 'volume']

/** Kills the library over and over while it grows a disk in use, and runs it again each time. */
export async function killing(options: KillOptions): Promise<KillResult> {
  const { subject, seed, perBoundary, atRandom, say } = options
  const began = performance.now()
  const campaign = new Killing(options)
  try {
    const met = await campaign.rehearse()
    say(`${subject.name}: an undisturbed growth makes these calls: ${met.map(({ call }) => call).join(', ')}`)
    const boundaries: { at: string; kills: number }[] = []
    const changes = met.filter(({ call }) => call !== 'look').slice(-1)
    for (const death of [...met, ...changes.map((change) => ({ ...change, after: true }))]) {
      const at = `${death.after ? 'after' : 'before'} ${death.call}${death.nth > 1 ? ` (${death.nth})` : ''}`
      const count = await campaign.times(perBoundary, () => death)
      boundaries.push({ at, kills: count })
      say(`${subject.name}: killed ${count} times ${at}`)
    }
    const alone = await campaign.times(atRandom, (random) => ({ share: random() }))
    const working = met.filter(({ call }) => call !== 'look' && !call.endsWith('the volume')).map(({ call }) => call)
    const withTools = await campaign.times(atRandom, (random) => ({
      share: random(),
      within: working[Math.floor(random() * working.length)] ?? '',
    }))
    say(`${subject.name}: killed ${alone} times at random moments, and ${withTools} times with its tools`)
    const { failures, tools, left } = campaign
    const seconds = Math.round((performance.now() - began) / 1000)
    return { subject: subject.name, seed, boundaries, alone, withTools, tools, left, failures, seconds }
  } finally {
    await campaign.end()
  }
}

class Killing {
  readonly failures: string[] = []
  readonly tools: Record<string, number> = {}
  readonly left = { all: 0, part: 0, nothing: 0 }
  readonly #options: KillOptions
  readonly #random: () => number
  #world: World | undefined
  #worlds = 0
  #trials = 0
  /** Milliseconds from the first action to the end of an undisturbed growth. */
  #growth = 0
  /** Milliseconds of its calls. */
  readonly #calls = new Map<string, number>()

  constructor(options: KillOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
  }

  /** A growth that nobody disturbs. */
  async rehearse(): Promise<readonly Boundary[]> {
    const { library, milliseconds } = await this.#trial(undefined)
    this.#growth = milliseconds
    for (const { call } of library.boundaries) this.#calls.set(call, library.lasting(call))
    // How often it looks depends on how soon it sees what it has done.
    return library.boundaries.filter(({ call, nth }) => call !== 'look' || nth === 1)
  }

  /** @returns how often it really died; growths that were over before are made up for */
  async times(count: number, death: (random: () => number) => Death): Promise<number> {
    let died = 0
    for (let trial = 0; died < count && trial < count * 4; trial += 1) {
      if ((await this.#trial(death(this.#random))).died) died += 1
    }
    return died
  }

  async #trial(
    death: Death | undefined,
  ): Promise<{ readonly died: boolean; readonly library: Library; readonly milliseconds: number }> {
    const { subject, seed, program } = this.#options
    const trial = this.#trials
    this.#trials += 1
    const world = await this.#worldFor(1n + BigInt(Math.floor(this.#random() * 8)))
    const { image, belongings } = world.world
    const { to } = world
    belongings.write(world.world.mountPoint)
    const key = await subject.luksKey?.()
    const library = new Library(program, {
      image: image.path,
      to: `${to}`,
      ...(key === undefined ? {} : { luksKey: key }),
      ...(death !== undefined && 'call' in death ? { dies: death } : {}),
    })
    await library.begun()
    const began = performance.now()
    let killed: readonly string[] = []
    if (death !== undefined && 'share' in death) {
      const within = 'within' in death ? death.within : undefined
      if (within !== undefined) await library.makes(within)
      const whole = within === undefined ? this.#growth : (this.#calls.get(within) ?? 0)
      await sleep(death.share * whole)
      killed = library.kill(within !== undefined)
    }
    const died = await library.end()
    const milliseconds = performance.now() - began
    const done = library.layers('action-finished')
    const begun = library.layers('action-started')
    const { grown, wrong } = await completed(world.world, to)
    const all = [...new Set([...done, ...grown, ...begun])].sort()
    const repeated = grown.filter((layer) => done.includes(layer))
    const problems = [
      ...wrong,
      ...(repeated.length === 0 ? [] : [`it repeated ${repeated.join(', ')}`]),
      ...(all.join() === layersOf(subject).join() ? [] : [`only ${all.join(', ')} were ever grown`]),
      ...library.told.flatMap(({ type, error }) => (type === 'failed' ? [`before it died: ${error?.message}`] : [])),
      ...(await rested(world.world)),
    ]
    // A mapping that was left suspended would hold up everything from here on.
    if (problems.length > 0) for (const name of suspendedMappings()) attempt('dmsetup', 'resume', name)
    problems.push(...(await world.world.examine()))
    if (died) {
      this.left[grown.length === 0 ? 'nothing' : grown.length === layersOf(subject).length ? 'all' : 'part'] += 1
      for (const name of killed) this.tools[name] = (this.tools[name] ?? 0) + 1
    }
    if (problems.length > 0) {
      const about = {
        seed,
        trial,
        to: `${to}`,
        ...death,
        calls: library.boundaries.map(({ call }) => call),
        begun,
        done,
        grown,
        killed,
      }
      this.failures.push(`${subject.name} ${JSON.stringify(about)}: ${problems.join('; ')}`)
      this.#options.say(this.failures.at(-1) ?? '')
    }
    return { died, library, milliseconds }
  }

  /** A disk that can become larger by so many steps. */
  async #worldFor(steps: bigint): Promise<{ readonly world: World; readonly to: bigint }> {
    const { subject, directory } = this.#options
    if (this.#world !== undefined && this.#world.image.size + steps * step > subject.most) await this.end()
    if (this.#world === undefined) {
      this.#worlds += 1
      const image = Image.make(join(directory, `${subject.name}-${this.#worlds}.img`), subject.from)
      this.#world = World.make(subject, image, directory)
    }
    return { world: this.#world, to: this.#world.image.size + steps * step }
  }

  async end(): Promise<void> {
    await this.#world?.leave()
    this.#world?.image.remove()
    this.#world = undefined
  }
}

async function rested({ belongings }: World): Promise<readonly string[]> {
  try {
    await belongings.rest()
    return []
  } catch (error) {
    return [`the writer failed: ${error instanceof Error ? error.message : error}`]
  }
}

function suspendedMappings(): readonly string[] {
  const { answer } = attempt('dmsetup', 'info', '--columns', '--noheadings', '--options', 'name,suspended')
  return answer.split('\n').flatMap((line) => {
    const [name = '', state] = line.trim().split(':')
    return state === 'Suspended' ? [name] : []
  })
}
