import { expect } from 'vitest'
import { countedByNode } from '../../../bench/growth/processes.ts'
import { type ErrorCode, VolumeExpansionError } from '../../../src/errors.ts'
import type { FindingCode } from '../../../src/findings.ts'
import { type ExpandRequest, type ExpansionEvent, expand, type Plan, plan, type Report } from '../../../src/index.ts'
import type { Where } from '../../../src/where.ts'
import type { Disk } from './disk.ts'

export interface Refusal {
  readonly plan: Plan
  readonly error: VolumeExpansionError
}

/** What a growth was, from its plan to a second call. */
export interface Grown {
  readonly plan: Plan
  readonly report: Report
  readonly events: readonly ExpansionEvent[]
  /** Started by the library itself. */
  readonly processes: number
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

/** That the plan says no, that the run says the same, and that neither started a process nor changed anything. */
export async function expectRefused(
  disk: Disk,
  request: ExpandRequest,
  code: FindingCode & ErrorCode,
  layer: Where = 'filesystem',
): Promise<Refusal> {
  const before = disk.fingerprint()
  const refusal: { plan?: Plan; error?: VolumeExpansionError } = {}
  const processes = await countedByNode(async () => {
    refusal.plan = await plan(request)
    refusal.error = await failureOf(expand(request))
  })
  const { plan: planned, error } = refusal
  if (planned === undefined || error === undefined) throw new Error('It was neither planned nor refused.')
  const [first] = planned.findings.filter(({ severity }) => severity === 'blocker')
  expect({ blocked: planned.blocked, first: first?.code }).toEqual({ blocked: true, first: code })
  expect(first?.remedy).toMatch(/\w/)
  expect({ code: error.code, layer: error.layer, outcome: error.outcome, remedy: error.remedy }).toEqual({
    ...{ code, layer, outcome: 'unchanged' },
    remedy: first?.remedy,
  })
  expect(processes).toBe(0)
  expect(disk.fingerprint()).toBe(before)
  return { plan: planned, error }
}

/** That it grows to exactly what the plan predicts, and that a second call finds nothing to do and starts nothing. */
export async function expectGrown(request: ExpandRequest): Promise<Grown> {
  const planned = await plan(request)
  expect(planned.findings.filter(({ severity }) => severity === 'blocker')).toEqual([])
  const predicted = planned.actions.find(({ layer }) => layer === 'filesystem')?.after
  expect(predicted).toBeTypeOf('bigint')
  const events: ExpansionEvent[] = []
  let report: Report | undefined
  const processes = await countedByNode(async () => {
    const run = expand(request)
    for await (const event of run) events.push(event)
    report = await run
  })
  if (report === undefined) throw new Error('It did not end.')
  expect(report.changed).toBe(true)
  expect(filesystemOf(report)?.after).toBe(predicted)
  expect(report.actions.map(({ status }) => status)).toEqual(report.actions.map(() => 'done'))
  await expectNothingToDo(request)
  return { plan: planned, report, events, processes }
}

/** That it is grown already: success, unchanged, without a single process. */
export async function expectNothingToDo(request: ExpandRequest): Promise<Plan> {
  let planned: Plan | undefined
  const processes = await countedByNode(async () => {
    planned = await plan(request)
    expect(planned.blocked).toBe(false)
    expect(planned.actions).toEqual([])
    expect(await expand(request)).toMatchObject({ changed: false, actions: [] })
  })
  expect(processes).toBe(0)
  if (planned === undefined) throw new Error('There is no plan.')
  return planned
}

export function filesystemOf({ layers }: Report): Report['layers'][number] | undefined {
  return layers.find(({ kind }) => kind === 'filesystem')
}

/** The commands of a plan, by the names of their programs. */
export function programsOf({ actions }: Plan): readonly (string | undefined)[] {
  return actions.flatMap(({ commands }) => commands.map(([program]) => program))
}

export function codesOf({ findings }: Plan): readonly string[] {
  return findings.map(({ code }) => code)
}
