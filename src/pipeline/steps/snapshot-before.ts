import type { SnapshotState } from '../../expander.ts'
import type { Finding } from '../../findings.ts'
import type { BackendObservation } from '../context.ts'
import { defineStep, type Step } from '../step.ts'

export interface SnapshotBeforeOptions {
  /** How its name begins; the date and a mark that no other has follow. Left out: `before-growth`. */
  readonly prefix?: string
}

type Context = {
  readonly backend: BackendObservation
  readonly backendWillGrow?: never
  readonly layersWillGrow?: never
  readonly filesystemWillGrow?: never
}

// What every backend takes: Compute Engine is the strictest, with lower case letters, digits and dashes, 63 of them at the most, and a letter in front.
const prefixPattern = /^[a-z][-a-z0-9]{0,29}$/

/**
 * Makes a snapshot of the volume and waits until it is usable, before anything is grown; has to come before the steps that grow. When nothing is to be grown,
 * none is made. It is crash-consistent, as after a power cut: freeze the filesystem in a step of your own when you need more. Its id stands in the
 * report as `details.snapshot` of the action, also when the run fails later. Every run that grows something makes one of its own; none is ever deleted.
 *
 * In a run: `invalid-request` when the provider makes no snapshots, before anything is touched; `backend-failed` when the snapshot fails, `timeout` when it
 * takes longer than `timeouts.snapshot`: nothing was grown then.
 *
 * @throws {TypeError} when the prefix is not made of up to 30 lower case letters, digits and dashes, with a letter in front
 */
export function snapshotBefore(options: SnapshotBeforeOptions = {}): Step<object, Context, object> {
  const { prefix = 'before-growth' } = options
  if (!prefixPattern.test(prefix)) {
    throw new TypeError(
      'The prefix of a snapshot is made of up to 30 lower case letters, digits and dashes, and begins with a letter.',
    )
  }
  return defineStep<object, Context, object, undefined, SnapshotState>({
    name: 'snapshot before',
    async observe() {
      await import('../snapshot.ts')
      return {}
    },
    plan({ backend: { handle, id, managed } }) {
      if (managed.snapshots === undefined) return { findings: [impossible(handle.expander.name, id)] }
      const action = {
        id: `snapshot:${id}`,
        layer: 'volume' as const,
        summary: `make a snapshot of ${handle.identity.label}, and wait until it is usable`,
        commands: [],
        calls: [`${handle.expander.name} snapshot`],
      }
      return { actions: [{ action, payload: undefined, preparatory: true }] }
    },
    async act(_payload, { backend }, services) {
      const { takeSnapshot } = await import('../snapshot.ts')
      return await takeSnapshot(prefix, backend, services)
    },
    async verify(_payload, { backend }, _services, state) {
      const { requireUsable } = await import('../snapshot.ts')
      requireUsable(backend, state)
      return []
    },
  })
}

function impossible(provider: string, target: string): Finding {
  return {
    code: 'invalid-request',
    severity: 'blocker',
    ...{ layer: 'volume', target },
    message: `A snapshot was asked for, and the provider ${provider} makes none.`,
    remedy: 'Leave the step snapshotBefore() out, or make the snapshot in a step of your own.',
  }
}
