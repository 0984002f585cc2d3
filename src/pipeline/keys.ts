import type { Finding } from '../findings.ts'
import type { KeyProof } from '../layers/layer.ts'
import type { StackedLayer } from '../layers/stack.ts'
import type { StackObservation } from './context.ts'
import type { GrowthPayload } from './growth.ts'
import { patiently } from './patience.ts'
import type { RunOptions } from './plan.ts'
import type { StepServices } from './step.ts'

type Keys = Required<Pick<StackObservation, 'keys' | 'keyFindings'>>

/**
 * Asks for the keys of the encrypted layers that would become larger, and proves that they open them, while nothing has been touched yet. Costs one command for each
 * such layer, and nothing where there is none.
 */
export async function askForKeys(
  stack: StackObservation,
  growths: readonly GrowthPayload[],
  options: RunOptions,
  services: StepServices,
): Promise<Keys | undefined> {
  const keys = new Map<string, Uint8Array>()
  const keyFindings: Finding[] = []
  for (const entry of stack.layers) {
    const growth = growths.find(({ state }) => state === entry.state)?.growth
    const proof = entry.layer.keyProof?.(entry.device, stack.storage.snapshot)
    if (proof === undefined || growth === undefined || growth.after <= entry.state.size) continue
    const key = await proven(stack, entry, proof, options, services)
    if (key instanceof Uint8Array) keys.set(entry.state.id, key)
    else keyFindings.push(...key)
  }
  return keys.size === 0 && keyFindings.length === 0 ? undefined : { keys, keyFindings }
}

async function proven(
  stack: StackObservation,
  entry: StackedLayer,
  { uuid, command, tools }: KeyProof,
  { luksKey }: RunOptions,
  services: StepServices,
): Promise<Uint8Array | readonly Finding[]> {
  const { host, tools: present } = stack.storage
  const { state, device } = entry
  const blocked = (code: Finding['code'], message: string, remedy: string): readonly Finding[] => [
    { code, severity: 'blocker', layer: state.kind, target: state.id, message, remedy },
  ]
  if (luksKey === undefined) {
    return blocked(
      'key-needed',
      `${state.label} cannot grow without its key.`,
      'Give `luksKey`, a function that returns the passphrase or the key.',
    )
  }
  const missing = tools.filter(({ name }) => present[name] === undefined)
  if (missing.length > 0) {
    return missing.flatMap(({ name, packages }) =>
      blocked('tool-missing', `${name} is missing on ${host.id}.`, `Install it there: ${packages}.`),
    )
  }
  const given = await luksKey({ host: host.id, path: device.path, uuid })
  const key = typeof given === 'string' ? new TextEncoder().encode(given) : given
  if (!(key instanceof Uint8Array)) throw new TypeError('`luksKey` returns a string or a Uint8Array.')
  const [result] = await patiently(
    host,
    services,
    host.batch([{ exec: command, stdin: key }] as const, { signal: services.signal }),
  )
  if (result.ok) return key
  return blocked(
    'key-rejected',
    `The key that was given does not open ${state.label}: ${result.stderr.trim().split('\n').at(-1) || result.ended}.`,
    'Give the key or the passphrase of one of its key slots; a passphrase ends without a line end.',
  )
}
