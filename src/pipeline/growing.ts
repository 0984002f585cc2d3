import { VolumeExpansionError } from '../errors.ts'
import type { BatchItem, BatchResult, ExecItem, ExecResult, StorageSnapshot } from '../hosts/host.ts'
import type { LayerState } from '../layers/layer.ts'
import { sizeIn } from '../layers/measure.ts'
import { type Bytes, formatSize } from '../size.ts'
import { pollUntil } from '../wait.ts'
import type { StackObservation } from './context.ts'
import type { GrowthPayload, GrowthResult } from './growth.ts'
import type { Prescribed } from './looking-again.ts'
import { patiently } from './patience.ts'
import type { StepServices } from './step.ts'

/** How often a running tool's progress is measured, in milliseconds. */
const progressInterval = 500
/** So often a storage that has changed since it was looked at is looked at again. Who changes it all the time is at work on it, and it is not the time to grow it. */
const mostSurprises = 3

/**
 * Carries a growth out: expectations, commands and the next look at the storage in one round trip. Exit codes and messages only help to say why; whether it
 * grew is measured. Where an expectation does not hold, nothing has been done: it is looked at again, and what is left is done if it is the same storage beyond doubt.
 */
export async function grow(
  payload: GrowthPayload,
  stack: StackObservation,
  services: StepServices,
): Promise<GrowthResult> {
  const { host, target } = stack.storage
  const look: BatchItem = { read: 'storage', at: target }
  let now: Prescribed = { payload, stack }
  for (let surprises = 0; ; ) {
    const { expect, commands } = now.payload.growth
    const patient = commands.map((command): ExecItem => ({ deadline: services.timeouts.tool, ...command }))
    const watching = watch(now.payload, now.stack, services)
    const results: readonly BatchResult<BatchItem>[] = await host
      .batch([...expect, ...patient, look], { signal: services.signal })
      .finally(watching.stop)
    const executed = results.filter((result): result is ExecResult => 'ended' in result)
    const surprise = unexpected(now.payload, results)
    if (executed.some(({ ended }) => ended === 'locked')) {
      // The command did not begin. Whoever holds the disk may be growing it: wait, and look at what is there then.
      services.waiting(payload.state.kind, `another tool holds ${payload.state.label}`)
    } else if (surprise === undefined) {
      return judge(now.payload, now.stack, services, executed, results.at(-1))
    } else {
      // No command has begun. It may be another disk now; or somebody, such as a tool of a run that died, has changed this one since it was looked at.
      if (surprises === mostSurprises) throw surprise
      surprises += 1
      services.waiting(payload.state.kind, `${payload.state.label} has changed since it was looked at`)
    }
    const { lookAgain } = await import('./looking-again.ts')
    const next = await lookAgain(payload, stack, services)
    if ('size' in next) return next
    now = next
  }
}

/** Every layer of the stack as the last look shows it: also those that became larger without an action of their own. */
export function measuredLayers(stack: StackObservation, { snapshot }: GrowthResult): readonly LayerState[] {
  const { layers, filesystem } = stack
  const subjects = [
    ...layers.map(({ layer, device, state }) => ({ subject: layer, deviceId: device.id, state })),
    ...(filesystem === undefined
      ? []
      : [{ subject: filesystem.resizer, deviceId: filesystem.device.id, state: filesystem.state }]),
  ]
  return subjects.flatMap((entry) => {
    const size = measuredIn(snapshot, entry)
    return size === undefined ? [] : [{ ...entry.state, size }]
  })
}

/** The first expectation that does not hold. */
function unexpected(
  { growth, state }: GrowthPayload,
  results: readonly BatchResult<BatchItem>[],
): VolumeExpansionError | undefined {
  for (const [index, item] of growth.expect.entries()) {
    const result = results[index]
    if (result === undefined || !('ok' in result) || result.ok) continue
    const found = 'found' in result && typeof result.found === 'string' ? result.found : 'nothing that could be read'
    return new VolumeExpansionError(
      'identity-mismatch',
      `${state.label} is not what was planned for: ${item.expect.path} should say ${item.equals}, and says ${found}.`,
      { layer: state.kind, outcome: 'unchanged', remedy: 'Look at what is there now, and plan again.' },
    )
  }
  return undefined
}

async function judge(
  payload: GrowthPayload,
  stack: StackObservation,
  services: StepServices,
  executed: readonly ExecResult[],
  look: BatchResult<BatchItem> | undefined,
): Promise<GrowthResult> {
  const { growth, state } = payload
  const failed = executed.find(({ ok }) => !ok)
  const first = snapshotOf(look)
  const seen = first === undefined ? undefined : measuredIn(first, payload)
  if (first !== undefined && seen !== undefined && seen >= growth.after) return { snapshot: first, size: seen }
  if (failed === undefined && growth.settles === true) return settle(payload, stack, services)
  // One look is not proof: a superblock that is being written reads torn.
  const snapshot = (await observeAgain(stack, services)) ?? first
  const size = snapshot === undefined ? undefined : measuredIn(snapshot, payload)
  if (snapshot !== undefined && size !== undefined && size >= growth.after) return { snapshot, size }
  throw failure(payload, stack, failed ?? executed.at(-1), snapshot, size).with({
    layer: state.kind,
    outcome: outcomeOf(state, size, failed),
  })
}

/** Only a tool that did not begin, or that ended, said that it failed, and left the size as it was, is known to have changed nothing. */
function outcomeOf(
  state: LayerState,
  size: Bytes | undefined,
  failed: ExecResult | undefined,
): 'unchanged' | 'changed' | 'unknown' {
  if (failed?.ended === 'running') return 'unknown'
  if (size === undefined) return failed?.ended === 'missing' || failed?.ended === 'refused' ? 'unchanged' : 'unknown'
  if (size !== state.size) return 'changed'
  return failed === undefined ? 'unknown' : 'unchanged'
}

function failure(
  payload: GrowthPayload,
  stack: StackObservation,
  command: ExecResult | undefined,
  snapshot: StorageSnapshot | undefined,
  size: Bytes | undefined,
): VolumeExpansionError {
  const { growth, state, subject, deviceId } = payload
  const before = stack.storage.snapshot.devices.find(({ id }) => id === deviceId)
  const after = snapshot?.devices.find(({ id }) => id === deviceId)
  if (command !== undefined && before !== undefined && 'diagnose' in subject) {
    const diagnosed = subject.diagnose(command, before, after, snapshot ?? stack.storage.snapshot)
    if (diagnosed !== undefined) return diagnosed
  }
  const reached = size === undefined ? 'and its size could not be measured' : `and has ${formatSize(size)}`
  const wanted = `${state.label} should have ${formatSize(growth.after)} now, ${reached}`
  if (command?.ended === 'running') {
    return new VolumeExpansionError('timeout', `${wanted}: ${name(command)} is still running after its deadline.`, {
      layer: state.kind,
      remedy:
        'It goes on by itself and was not killed. Run this again: it waits for the tool and finishes what is left.',
    })
  }
  if (command?.ended === 'missing' || command?.ended === 'refused') {
    const code = command.ended === 'missing' ? 'tool-missing' : 'permission-denied'
    return new VolumeExpansionError(code, `${name(command)} could not be executed.`, { layer: state.kind })
  }
  if (command !== undefined && !command.ok) {
    const how =
      command.ended === 'exited' ? `exit ${command.exitCode}` : `${command.ended} ${command.signal ?? ''}`.trim()
    return new VolumeExpansionError(
      'tool-failed',
      `${wanted}: ${name(command)} ended with ${how}: ${lastLines(command)}`,
      {
        layer: state.kind,
        remedy: 'The message is the tool’s own; the kernel log of the host may say more.',
      },
    )
  }
  return new VolumeExpansionError('verification-failed', `${wanted}, although no command failed.`, {
    layer: state.kind,
    remedy: 'Look at the kernel log of the host, then run this again: it measures everything anew.',
  })
}

async function settle(payload: GrowthPayload, stack: StackObservation, services: StepServices): Promise<GrowthResult> {
  const { growth, state } = payload
  const askBackend = backendAsker(stack, services)
  services.waiting(state.kind, `${state.label} does not show ${formatSize(growth.after)} yet`)
  return pollUntil<GrowthResult | undefined>({
    what: `${state.label} to show ${formatSize(growth.after)}`,
    layer: state.kind,
    read: async () => {
      const snapshot = await observeAgain(stack, services, growth.repeats === true ? payload : undefined)
      const size = snapshot === undefined ? undefined : measuredIn(snapshot, payload)
      if ((size ?? 0n) < growth.after) await askBackend()
      return snapshot === undefined || size === undefined ? undefined : { snapshot, size }
    },
    judge: (result) => (result !== undefined && result.size >= growth.after ? 'done' : 'waiting'),
    describe: (result) => (result === undefined ? 'nothing that could be measured' : formatSize(result.size)),
    // Most devices follow within tenths of a second, and a look costs little.
    schedule: { first: 50, factor: 1.3 },
    deadline: services.clock.now() + services.timeouts.device,
    ...services,
  }).then((result) => {
    if (result === undefined) throw new TypeError('A finished wait has a result.')
    return result
  })
}

/** Milliseconds between two questions to the backend why a device does not show the new size of its volume. */
const askingInterval = 2000

/**
 * Asks the backend now and then whether it knows that nobody told the machine of the new size: then the device would be waited for in vain.
 *
 * @throws {VolumeExpansionError} `growth-not-passed-on`
 */
function backendAsker({ storage: { backend } }: StackObservation, services: StepServices): () => Promise<void> {
  const { clock, signal } = services
  const isKnown = backend?.state.findings?.some(({ code }) => code === 'growth-not-passed-on') === true
  // A device that is only a little slower than its backend costs no question.
  let next = clock.now() + (isKnown ? 0 : askingInterval)
  return async () => {
    if (backend === undefined || clock.now() < next) return
    next = clock.now() + askingInterval
    const { handle, managed } = backend
    // Only an answer counts: the device may show its size while the backend cannot be asked.
    const state = await managed.read(signal).catch(() => undefined)
    const found = state?.findings?.find(({ code }) => code === 'growth-not-passed-on')
    if (found === undefined) return
    const { code, message, remedy } = found
    throw new VolumeExpansionError(code, message, {
      ...{ layer: 'device', provider: handle.expander.name, outcome: 'unchanged' },
      ...(remedy === undefined ? {} : { remedy }),
    })
  }
}

/** @param repeated whose commands are run again before the look, with the expectations that they need */
async function observeAgain(
  stack: StackObservation,
  services: StepServices,
  repeated?: GrowthPayload,
): Promise<StorageSnapshot | undefined> {
  const { host, target } = stack.storage
  const look: BatchItem = { read: 'storage', at: target }
  const { expect = [], commands = [] } = repeated?.growth ?? {}
  const reading: Promise<readonly BatchResult<BatchItem>[]> = host.batch([...expect, ...commands, look], {
    signal: services.signal,
  })
  const results = await patiently(host, services, reading)
  const surprise = repeated === undefined ? undefined : unexpected(repeated, results)
  if (surprise !== undefined) throw surprise
  return snapshotOf(results.at(-1))
}

function snapshotOf(result: BatchResult<BatchItem> | undefined): StorageSnapshot | undefined {
  if (result === undefined || !('value' in result)) return undefined
  const { value } = result
  return typeof value === 'object' && 'devices' in value ? (value as StorageSnapshot) : undefined
}

function measuredIn(
  snapshot: StorageSnapshot,
  { deviceId, subject }: Pick<GrowthPayload, 'deviceId' | 'subject'>,
): Bytes | undefined {
  try {
    return sizeIn(snapshot, deviceId, subject)
  } catch (error) {
    // A torn read of a superblock is not a size, and not yet a failure either.
    if (error instanceof VolumeExpansionError) return undefined
    throw error
  }
}

/** Measures while a tool runs, so that people see how far it is; ends with the tool. */
function watch(payload: GrowthPayload, stack: StackObservation, services: StepServices): { readonly stop: () => void } {
  const ended = new AbortController()
  const signal = AbortSignal.any([services.signal, ended.signal])
  const { before, after } = { before: payload.state.size, after: payload.growth.after }
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      await services.clock.sleep(progressInterval, signal)
      const [look] = await stack.storage.host.batch([{ read: 'storage', at: stack.storage.target }] as const, {
        signal,
      })
      const size = look.ok ? measuredIn(look.value, payload) : undefined
      if (size === undefined || signal.aborted) continue
      const fraction = after > before ? Number(((size - before) * 1000n) / (after - before)) / 1000 : 1
      services.progress({ size, fraction: Math.min(1, Math.max(0, fraction)) })
    }
  }
  // Progress is a courtesy: when it cannot be measured the growth goes on all the same.
  if (payload.growth.commands.length > 0) follow().catch(() => {})
  return { stop: () => ended.abort() }
}

function name(command: ExecResult): string {
  return command.argv[0]?.split('/').at(-1) ?? 'the command'
}

function lastLines({ stdout, stderr }: ExecResult): string {
  const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.trim())
  return (
    lines
      .filter((line) => line !== '')
      .slice(-3)
      .join(' / ') || 'without a word'
  )
}
