import { getEventListeners } from 'node:events'
import { systemClock } from '../../src/clock.ts'
import { type Clock, type ExpansionRun, expand, plan, type Report } from '../../src/index.ts'
import { processLocks } from '../../src/services/lock.ts'
import { scriptedProvider, seededRandom, type VirtualClock, virtualClock } from '../../src/testing/index.ts'
import { type Cue, chooserOf, type PlannedRun, type Scenario } from './scenario.ts'
import { asRun, type Exchange, Wire } from './wire.ts'
import type { Subject, World } from './world.ts'

// What a first run loads takes real time, of which a virtual clock knows nothing.
await plan({ volume: scriptedProvider({ clock: systemClock, volumes: { first: '1Gi' } }).volume('first'), to: 'fill' })

/** How one run of the library ended, with what the world had then. */
export interface Ended {
  /** From 1; the rerun is the last. */
  readonly run: number
  readonly process: number
  readonly to: bigint
  /** Bytes when it began and when it ended. */
  readonly sizeBefore: bigint
  readonly sizeAfter: bigint
  readonly report?: Report
  readonly error?: unknown
  readonly aborted: boolean
  /** Sizes that its events claimed, and that the world did not have then. */
  readonly claims: readonly string[]
  /** Whether it ended by itself at all. */
  readonly settled: boolean
}

/** What was seen of a whole trial. */
export interface Trial {
  readonly scenario: Scenario
  readonly exchanges: readonly Exchange[]
  readonly ends: readonly Ended[]
  readonly rerun: Ended
  readonly growths: readonly bigint[]
  readonly sizeAtEnd: bigint
  readonly shrunk: readonly string[]
  /** Timers, locks, listeners and rejections that were left. */
  readonly leaks: readonly string[]
}

/** The times of one process: they jump, and know how many sleeps are left. */
class JumpingClock implements Clock {
  steady = 0
  wall = 0
  sleeping = 0
  readonly #world: VirtualClock

  constructor(world: VirtualClock) {
    this.#world = world
  }

  now(): number {
    return this.#world.now() + this.steady
  }

  date(): Date {
    return new Date(this.#world.date().getTime() + this.wall)
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    this.sleeping += 1
    try {
      await this.#world.sleep(milliseconds, signal)
    } finally {
      this.sleeping -= 1
    }
  }
}

/** Milliseconds of the world after which a run that has not ended never will. */
const forEver = 24 * 3_600_000

/** Carries a scenario out, on a virtual clock and always in the same order. */
export async function execute(subject: Subject, scenario: Scenario): Promise<Trial> {
  const clock = virtualClock()
  const own = new JumpingClock(clock)
  const wire = new Wire(clock)
  const rejections: string[] = []
  const onRejection = (reason: unknown): void => void rejections.push(`unhandled rejection: ${reason}`)
  const systemNow = Date.now
  process.on('unhandledRejection', onRejection)
  // Providers that ask the system for the time ask this process's.
  Date.now = () => own.date().getTime()
  try {
    const world = subject.make(wire, { world: clock, own })
    wire.attach(world)
    wire.choose = chooserOf(scenario, subject)
    const controllers = scenario.runs.map(() => new AbortController())
    let over = false
    onCues(wire, clock, () => over, [
      ...scenario.runs.map(({ abort }, index) => ({ cue: abort, act: () => controllers[index]?.abort() })),
      ...scenario.incidents.map((incident) => ({
        cue: incident.cue,
        act() {
          if (incident.kind === 'jump') {
            own.steady += incident.steady
            own.wall += incident.wall
          } else if (incident.kind === 'ask' && world.ask !== undefined) world.ask(incident.to)
          else world.grow(incident.to)
          wire.look(`an incident (${incident.kind})`)
        },
      })),
    ])
    const ends = await drive(
      clock,
      Promise.all(
        scenario.runs.map((run, index) =>
          follow(run, index + 1, { clock, own, world }, controllers[index] ?? new AbortController()),
        ),
      ),
    )
    await clock.settle()
    const leaks = [
      ...(own.sleeping === 0 ? [] : [`${own.sleeping} timers of the library are left`]),
      ...(processLocks.size === 0 ? [] : [`${processLocks.size} locks are held`]),
      ...controllers.flatMap(({ signal }) =>
        getEventListeners(signal, 'abort').length === 0 ? [] : ['a listener of an abort is left'],
      ),
    ]
    wire.choose = () => undefined
    wire.witness = () => undefined
    over = true
    // Somebody sets the wall clock right.
    own.wall = 0
    if (!scenario.rerun.atOnce) await clock.advance(subject.rest)
    const to = largest([...scenario.runs.map((run) => run.to), world.size()])
    const planned = { process: scenario.rerun.process, to, at: 0 }
    const [rerun] = await drive(
      clock,
      Promise.all([follow(planned, scenario.runs.length + 1, { clock, own, world }, new AbortController())]),
    )
    await clock.advance(120_000)
    wire.look('the end')
    await new Promise((resolve) => setImmediate(resolve))
    return {
      ...{ scenario, ends, rerun, growths: world.growths, sizeAtEnd: world.size(), shrunk: wire.shrunk },
      exchanges: wire.exchanges,
      leaks: [...leaks, ...(own.sleeping === 0 ? [] : ['timers are left after the rerun']), ...rejections],
    }
  } finally {
    Date.now = systemNow
    process.off('unhandledRejection', onRejection)
  }
}

interface Surroundings {
  readonly clock: VirtualClock
  readonly own: Clock
  readonly world: World
}

async function follow(
  { process, to, at }: PlannedRun,
  run: number,
  { clock, own, world }: Surroundings,
  controller: AbortController,
): Promise<Ended> {
  await clock.sleep(at)
  const sizeBefore = world.size()
  const claims: string[] = []
  const expansion = asRun(run, () =>
    expand({
      volume: world.volume(process),
      ...{ to: `${to}`, clock: own, random: seededRandom(run), signal: controller.signal },
      // Long for these worlds, and short enough that what lasts is not looked at a thousand times.
      timeouts: { backend: 120_000 },
    }),
  )
  const watching = watch(expansion, world, claims)
  let report: Report | undefined
  let error: unknown
  const tooLong = new AbortController()
  const settled = await Promise.race([
    expansion.then(
      (value) => {
        report = value
        return true
      },
      (thrown: unknown) => {
        error = thrown
        return true
      },
    ),
    clock.sleep(forEver, tooLong.signal).then(() => false),
  ])
  tooLong.abort()
  const sizeAfter = world.size()
  if (settled) await watching
  return {
    ...{ run, process, to, sizeBefore, sizeAfter, claims, settled, aborted: controller.signal.aborted },
    ...(report === undefined ? {} : { report }),
    ...(error === undefined ? {} : { error }),
  }
}

async function watch(expansion: ExpansionRun, world: World, claims: string[]): Promise<void> {
  for await (const event of expansion) {
    const size = 'size' in event ? event.size : undefined
    if (typeof size === 'bigint' && size > world.size())
      claims.push(`${event.type} says ${size}, and there are ${world.size()}`)
  }
}

interface Cued {
  readonly cue: Cue | undefined
  readonly act: () => void
}

function onCues(wire: Wire, clock: VirtualClock, isOver: () => boolean, all: readonly Cued[]): void {
  for (const { cue, act } of all) {
    if (cue !== undefined && 'at' in cue) void clock.sleep(cue.at).then(() => (isOver() ? undefined : act()))
  }
  wire.witness = ({ number }, stage) => {
    for (const { cue, act } of all) {
      if (cue !== undefined && 'exchange' in cue && cue.exchange === number && cue.stage === stage) act()
    }
  }
}

/** Lets time pass until it is settled. What waits for something real, such as a module that is being loaded, is given a moment. */
async function drive<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  for (let patience = 200; ; patience -= 1) {
    try {
      return await clock.run(promise)
    } catch (thrown) {
      if (patience === 0 || !(thrown instanceof Error) || !thrown.message.startsWith('Nothing is left')) throw thrown
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

function largest(sizes: readonly bigint[]): bigint {
  let most = 0n
  for (const size of sizes) if (size > most) most = size
  return most
}
