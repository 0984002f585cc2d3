import type { LayerState } from '../../layers/layer.ts'
import type { Claim, ClaimAction, ResolvedClaim } from '../claim.ts'
import type { BackendObservation } from '../context.ts'
import type { RunOptions } from '../plan.ts'
import { defineStep, type Step } from '../step.ts'

type Input = { readonly claim: Claim }
type Adds = { readonly resolved: ResolvedClaim }

/**
 * Publishes the size that was proven below: the capacity of the PersistentVolume, then that of the claim. Has to come after the steps that grow. Refuses a claim whose
 * volume is another one (`identity-mismatch`), and one that the cluster grows itself (`served-by-cluster`).
 */
export function publishClaim(): Step<Input, { readonly backend: BackendObservation }, Adds> {
  return claimStep('publish claim') as Step<Input, { readonly backend: BackendObservation }, Adds>
}

/** Finds out what a claim is, before anything else is looked at: its volume and its host become those of the request. */
export function resolveClaim(): Step<Input & RunOptions, object, Adds> {
  return defineStep<Input & RunOptions, object, Adds>({
    name: 'resolve claim',
    async observe({ claim, ...options }, services) {
      const resolved = await claim.resolve(services, options)
      const { volume, host } = resolved
      return { resolved, ...(volume && { volume }), ...(host && { host }) }
    },
  })
}

/** Grows the claim by the cluster, or publishes what was grown here, as it was resolved. On its own in a pipeline, it is for claims that the cluster grows. */
export function settleClaim(): Step<Input, object, Adds> {
  return claimStep('settle claim')
}

type Context = {
  readonly backend?: BackendObservation
  readonly resolved?: ResolvedClaim
  readonly stack?: object
}

function claimStep(name: string): Step<Input, object, Adds> {
  return defineStep<Input & RunOptions, Context, Adds, ClaimAction, readonly LayerState[]>({
    name,
    async observe({ claim, resolved, backend, stack, ...options }, services) {
      const given = backend === undefined ? undefined : { backend, onHost: stack !== undefined }
      return { resolved: resolved ?? (await claim.resolve(services, options, given)) }
    },
    plan({ resolved, backend }, draft) {
      const part = resolved.plan(draft, backend)
      return { ...part, findings: [...resolved.findings, ...(part.findings ?? [])] }
    },
    async prove({ resolved, backend }, draft, services) {
      const proven = await resolved.prove(draft, services, backend)
      return proven === undefined ? undefined : { resolved: proven }
    },
    act: ({ act }, _context, services) => act(services),
    verify: async (_action, _context, _services, measured) => measured,
  }) as Step<Input, object, Adds>
}
