import { VolumeExpansionError } from '../errors.ts'
import type { Finding } from '../findings.ts'
import type { LayerState } from '../layers/layer.ts'
import type { ClaimAction, ResolvedClaim } from '../pipeline/claim.ts'
import type { PlanDraft, PlanPart, StepServices } from '../pipeline/step.ts'
import { type Bytes, bytes, formatSize } from '../size.ts'
import { type ClaimState, claimStateOf } from './claim-state.ts'
import { isAtLeast } from './cluster.ts'
import { followGrowth, infeasibleMessage, infeasibleRemedy, isInfeasible, type WhenUnmounted } from './following.ts'
import { limitFindings } from './limits.ts'
import { quantityOf } from './quantity.ts'
import { allowExpansionCommand, answerError, gateRemedy, plugInRemedy, refusalFinding, refusalOf } from './refusals.ts'
import { missingRights, nativeRights } from './rights.ts'
import { type ClaimSight, claimLayer, claimLayerId, claimPath, labelOf, largest } from './sight.ts'
import { followClaim } from './watches.ts'

/** The cluster grows the volume itself; here the request is made, and followed until it is met. */
export function nativeGrowth(sight: ClaimSight, findings: readonly Finding[], unmounted: WhenUnmounted): ResolvedClaim {
  return {
    findings,
    plan: (draft) => plan(sight, unmounted, draft),
    async prove(draft, services) {
      const intent = intentOf(sight, draft)
      if (intent === undefined || intent.goal === sight.claim.request) return undefined
      const found = await asked(sight, intent.goal, services)
      return nativeGrowth(sight, [...findings, ...found], unmounted)
    },
  }
}

interface Intent {
  /** Bytes that the claim is to have. */
  readonly goal: Bytes
  /** Bytes that it has now, as far as the cluster says. */
  readonly capacity: Bytes
  /** Whether the request is lowered, to one that can be met. */
  readonly lowers: boolean
}

/** What is to be done; undefined when the claim has all that it asks for and all that is wanted. */
function intentOf({ claim, volume }: ClaimSight, draft: PlanDraft): Intent | undefined {
  const capacity = claim.capacity ?? volume?.capacity ?? bytes(0n)
  const target = draft.target({ current: capacity, granularity: 1n as Bytes, layer: 'claim' })
  const request = claim.request ?? capacity
  const wanted = target === 'fill' ? undefined : target
  const lowers = isInfeasible(claim) && wanted !== undefined && wanted < request && wanted > capacity
  const goal = lowers ? wanted : (largest(wanted, request, capacity) ?? capacity)
  return goal <= capacity ? undefined : { goal, capacity, lowers }
}

function plan(sight: ClaimSight, unmounted: WhenUnmounted, draft: PlanDraft): PlanPart<ClaimAction> {
  const { claim, name } = sight
  const intent = intentOf(sight, draft)
  const layers = [claimLayer(name, claim)]
  if (intent === undefined) return { layers }
  const { goal, capacity, lowers } = intent
  const id = claimLayerId(name)
  const asks = goal !== claim.request
  const findings: readonly Finding[] =
    isInfeasible(claim) && !asks
      ? [
          {
            ...{ code: 'infeasible-size', severity: 'blocker', layer: 'claim', target: id },
            ...{ message: infeasibleMessage(claim, name), remedy: infeasibleRemedy(claim) },
          },
        ]
      : []
  const summary = lowers
    ? `lower the request of claim ${labelOf(name)} to ${formatSize(goal)}, which can be met, and wait until it has it`
    : asks
      ? `ask the cluster for ${formatSize(goal)} for claim ${labelOf(name)}, and wait until it has it`
      : `wait until claim ${labelOf(name)} has the ${formatSize(goal)} that it asks for`
  const action = {
    ...{ id, layer: 'claim' as const, target: id, summary, before: capacity, after: goal, commands: [] },
    calls: asks ? ['patch persistentvolumeclaims', 'watch persistentvolumeclaims'] : ['watch persistentvolumeclaims'],
  }
  const payload: ClaimAction = { act: (services) => grow(sight, intent, unmounted, services) }
  return { layers, findings, actions: [{ action, payload }], predictions: new Map([[id, goal]]) }
}

/** Whether the cluster would take the request: its own word where it can be asked to pretend, otherwise what can be read. */
async function asked(sight: ClaimSight, goal: Bytes, services: StepServices): Promise<readonly Finding[]> {
  const { access, name, claim, classAllows } = sight
  const id = claimLayerId(name)
  const rights = services.planning ? await missingRights(access, name, nativeRights) : []
  if (rights.length > 0) return rights
  if (await access.honoursDryRun()) {
    const answer = await access.patch(claimPath(name), requestPatch(claim, goal), { dryRun: true })
    const refusal = refusalOf(answer, name)
    if (refusal !== undefined) return [refusalFinding(refusal, id)]
    if (answer.status >= 300) throw answerError(answer, `growing ${labelOf(name)}`, 'unchanged', name)
    return classAllows === false ? [unguarded(sight)] : []
  }
  const version = await access.version()
  if (!isAtLeast(version, 1, 8)) {
    return [
      {
        ...{ code: 'cluster-feature-off', severity: 'blocker', layer: 'claim', target: id },
        message: `Kubernetes ${version.text} cannot grow claims: that came with 1.8, behind a gate.`,
        remedy: "Let this library do the work: driver: 'direct'.",
      },
    ]
  }
  const found: Finding[] = []
  if (classAllows === false) found.push(forbidden(sight))
  if (!isAtLeast(version, 1, 11)) {
    found.push({
      ...{ code: 'cluster-feature-off', severity: 'warning', layer: 'claim', target: id },
      message: `Kubernetes ${version.text} grows claims only with the gate ExpandPersistentVolumes and the admission plug-in PersistentVolumeClaimResize, and only volumes that no pod uses; whether both are on cannot be seen from outside.`,
      remedy: `${gateRemedy} ${plugInRemedy}`,
    })
  }
  return [...found, ...(await limitFindings(access, name, claim.request ?? bytes(0n), goal))]
}

function forbidden({ name }: ClaimSight): Finding {
  const { storageClass } = name
  return {
    ...{ code: 'expansion-not-allowed', severity: 'blocker', layer: 'claim', target: claimLayerId(name) },
    message:
      storageClass === undefined
        ? `The claim ${labelOf(name)} has no storage class, so nothing in the cluster grows it.`
        : `The storage class ${storageClass} does not exist or does not allow growth.`,
    remedy:
      storageClass === undefined
        ? "Let this library grow it by its provider: driver: 'direct'."
        : `If its provisioner can grow volumes: ${allowExpansionCommand(storageClass)}. Or let this library do the work: driver: 'direct'.`,
  }
}

/** The server would take what the class forbids: nobody has asked the class. */
function unguarded(sight: ClaimSight): Finding {
  const finding = forbidden(sight)
  return {
    ...finding,
    code: 'cluster-feature-off',
    message: `${finding.message} The API server would take the request all the same, because its admission plug-in PersistentVolumeClaimResize is off; then nothing may ever meet it.`,
    remedy: `${plugInRemedy} ${finding.remedy ?? ''}`,
  }
}

/** Guarded by what was seen: never an answer to another claim of the same name, and never over somebody else's request. */
function requestPatch({ uid, resourceVersion }: ClaimState, goal: Bytes, guarded = false): object {
  return {
    metadata: { uid, ...(guarded ? { resourceVersion } : {}) },
    spec: { resources: { requests: { storage: quantityOf(goal) } } },
  }
}

/** How often somebody else may change the claim between our look and our request. */
const tries = 10

async function grow(
  sight: ClaimSight,
  intent: Intent,
  unmounted: WhenUnmounted,
  services: StepServices,
): Promise<readonly LayerState[]> {
  const { access, name } = sight
  // Before the request: what is needed for the waiting is proven by having it.
  const feed = await followClaim(access.client, name, sight.claim.resourceVersion, services)
  try {
    const first = await request(sight, intent)
    const goal = intent.lowers ? intent.goal : (largest(intent.goal, first.request) ?? intent.goal)
    const claim = await followGrowth(first, { ...{ access, name, goal, feed, services, unmounted } })
    return [claimLayer(name, claim)]
  } finally {
    feed.close()
  }
}

/** Makes the request, unless somebody has made a larger one meanwhile. */
async function request({ access, name, claim: seen }: ClaimSight, { goal, lowers }: Intent): Promise<ClaimState> {
  let claim = seen
  for (let attempt = 1; ; attempt += 1) {
    if (claim.request === goal || (!lowers && (claim.request ?? 0n) >= goal)) return claim
    const answer = await access.patch(claimPath(name), requestPatch(claim, goal, true))
    if (answer.status < 300) return claimStateOf(answer.body)
    if (answer.status !== 409 || attempt >= tries) {
      throw answerError(answer, `growing ${labelOf(name)}`, 'unchanged', name)
    }
    const fresh = claimStateOf(await access.get(claimPath(name)))
    if (fresh.uid !== seen.uid) throw replaced(labelOf(name))
    if (lowers && fresh.request !== seen.request)
      throw answerError(answer, `growing ${labelOf(name)}`, 'unchanged', name)
    claim = fresh
  }
}

function replaced(label: string): VolumeExpansionError {
  return new VolumeExpansionError(
    'identity-mismatch',
    `The claim ${label} is another one now: it was deleted and made anew.`,
    {
      ...{
        layer: 'claim',
        outcome: 'unchanged',
        remedy: 'Look at it, and run this again if it is the one that is meant.',
      },
    },
  )
}
