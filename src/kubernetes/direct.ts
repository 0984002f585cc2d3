import { VolumeExpansionError } from '../errors.ts'
import type { Volume } from '../expander.ts'
import type { Finding } from '../findings.ts'
import type { Host } from '../hosts/host.ts'
import type { LayerState } from '../layers/layer.ts'
import { type ClaimAction, type ResolvedClaim, volumeSizeAfter } from '../pipeline/claim.ts'
import type { BackendObservation } from '../pipeline/context.ts'
import type { PlanDraft, PlannedAction, PlanPart } from '../pipeline/step.ts'
import { type Bytes, bytes, formatSize } from '../size.ts'
import { type ClaimState, claimStateOf, type VolumeObjectState, volumeStateOf } from './claim-state.ts'
import { strategicPatch } from './cluster.ts'
import { listAt, textAt } from './fields.ts'
import { limitFindings } from './limits.ts'
import { quantityOf } from './quantity.ts'
import { answerError, refusalFinding, refusalOf } from './refusals.ts'
import { directRights, missingRights } from './rights.ts'
import {
  type ClaimSight,
  claimLayer,
  claimLayerId,
  claimPath,
  labelOf,
  largest,
  volumeObjectLayer,
  volumePath,
} from './sight.ts'

/** A claim whose volume is grown here. */
export interface DirectSight extends ClaimSight {
  readonly volume: VolumeObjectState
  /** What is grown; left out when the caller of the pipeline brought it. */
  readonly backing?: Volume
  readonly host?: Host
  /** Whether the filesystem is not grown here, because no node has it mounted: its kubelet does that at the next mount. */
  readonly leavesNode: boolean
  /** What the cluster would say to a raised request: known once it was asked. */
  readonly raises?: boolean
}

/** The volume, the device and the filesystem are grown here; then the cluster is told. */
export function directGrowth(sight: DirectSight, findings: readonly Finding[]): ResolvedClaim {
  const { backing, host } = sight
  return {
    ...(backing && { volume: backing }),
    ...(host && { host }),
    findings,
    plan: (draft, backend) => plan(sight, draft, backend),
    async prove(draft, _services, backend) {
      if (backend === undefined || !isNeeded(sight, draft, backend)) return undefined
      const { found, raises } = await asked(sight, volumeSizeAfter(draft, backend))
      return directGrowth({ ...sight, raises }, [...findings, ...found])
    },
  }
}

function isNeeded({ claim, volume }: DirectSight, draft: PlanDraft, backend: BackendObservation): boolean {
  const size = volumeSizeAfter(draft, backend)
  return [claim.capacity, claim.request, volume.capacity].some((known) => (known ?? 0n) < size)
}

function plan(sight: DirectSight, draft: PlanDraft, backend: BackendObservation | undefined): PlanPart<ClaimAction> {
  const { claim, volume, name, leavesNode } = sight
  const volumeLayer = volumeObjectLayer(volume, backend === undefined ? [] : [backend.id])
  const layers = [volumeLayer, claimLayer(name, claim, [volumeLayer.id])]
  if (backend === undefined) return { layers }
  const size = volumeSizeAfter(draft, backend)
  const findings: Finding[] = []
  const actions: PlannedAction<ClaimAction>[] = []
  const predictions = new Map<string, Bytes>()
  const add = (
    what: { readonly id: string; readonly target: string; readonly before: Bytes; readonly after: Bytes },
    summary: string,
    call: string,
    act: ClaimAction['act'],
  ): void =>
    void actions.push({ action: { ...what, layer: 'claim', summary, commands: [], calls: [call] }, payload: { act } })

  if ((volume.capacity ?? 0n) < size) {
    const id = volumeLayer.id
    const before = volume.capacity ?? bytes(0n)
    predictions.set(id, size)
    add(
      { id, target: id, before, after: size },
      `publish ${formatSize(size)} on PersistentVolume ${volume.name}`,
      'patch persistentvolumes',
      () => raiseVolume(sight, size),
    )
  } else if ((volume.capacity ?? 0n) > size) {
    findings.push(overstated(sight, size))
  }
  const id = claimLayerId(name)
  const before = claim.capacity ?? bytes(0n)
  if (before < size && leavesNode) {
    findings.push(leftToNode(sight))
    if (!claim.conditions.some(({ type }) => type === 'FileSystemResizePending')) {
      const what = { id: `${id}:pending`, target: id, before, after: before }
      add(
        what,
        `mark claim ${labelOf(name)} as waiting for its filesystem to grow`,
        'patch persistentvolumeclaims/status',
        () => markPending(sight),
      )
    }
  } else if (before < size) {
    predictions.set(id, size)
    add(
      { id, target: id, before, after: size },
      `publish ${formatSize(size)} on claim ${labelOf(name)}`,
      'patch persistentvolumeclaims/status',
      () => publishCapacity(sight, size),
    )
  }
  // After the capacity: whoever grows volumes by the request never sees one that is not met.
  if ((claim.request ?? 0n) < size && sight.raises === true && !leavesNode) {
    const what = {
      id: `${id}:request`,
      target: id,
      before: predictions.get(id) ?? before,
      after: predictions.get(id) ?? before,
    }
    add(
      what,
      `raise the request of claim ${labelOf(name)} to ${formatSize(size)}`,
      'patch persistentvolumeclaims',
      () => raiseRequest(sight, size),
    )
  } else if ((claim.request ?? 0n) < size && sight.raises !== undefined) {
    findings.push(requestBehind(sight))
  }
  return { layers, findings, actions, predictions }
}

function overstated({ volume, name }: DirectSight, size: Bytes): Finding {
  return {
    ...{ code: 'identity-mismatch', severity: 'warning', layer: 'claim', target: claimLayerId(name) },
    message: `PersistentVolume ${volume.name} says ${formatSize(volume.capacity ?? 0n)}, but the volume will have ${formatSize(size)}. It is never lowered.`,
    remedy: 'Ask for at least what it says, so that it becomes true.',
  }
}

function leftToNode({ name }: DirectSight): Finding {
  return {
    ...{ code: 'pod-needed', severity: 'warning', layer: 'claim', target: claimLayerId(name) },
    message: `The filesystem of ${labelOf(name)} is not grown here: the volume and its PersistentVolume grow now, and a kubelet grows the filesystem once a pod mounts it.`,
    remedy: 'Start a pod that mounts it. Until then the claim shows its old size, and FileSystemResizePending.',
  }
}

function requestBehind({ name, leavesNode }: DirectSight): Finding {
  return {
    ...{ code: 'request-behind', severity: 'note', layer: 'claim', target: claimLayerId(name) },
    message: leavesNode
      ? `The request of ${labelOf(name)} stays as it is until its filesystem has grown; a resizer that saw it raised would take the work up.`
      : `The cluster does not let the request of ${labelOf(name)} be raised, so that the claim will have more than it asks for. Its quota was looked at instead.`,
  }
}

/** What the cluster says before anything is grown: rights, quota, limits, and whether the request may follow. */
async function asked(
  sight: DirectSight,
  size: Bytes,
): Promise<{ readonly found: readonly Finding[]; readonly raises: boolean }> {
  const { access, name, claim } = sight
  const rights = await missingRights(access, name, directRights)
  const request = claim.request ?? bytes(0n)
  if (rights.length > 0 || request >= size) return { found: rights, raises: false }
  if (await access.honoursDryRun()) {
    const answer = await access.patch(claimPath(name), requestPatch(sight, size), { dryRun: true })
    if (answer.status < 300) return { found: [], raises: true }
    const refusal = refusalOf(answer, name)
    if (refusal === undefined) throw answerError(answer, `asking for ${labelOf(name)}`, 'unchanged', name)
    const ours = refusal.code === 'expansion-not-allowed' || refusal.code === 'cluster-feature-off'
    if (!ours) return { found: [refusalFinding(refusal, claimLayerId(name))], raises: false }
  }
  // The quota counts requests: capacity that comes without one would overrun it unseen.
  const counted = largest(request, claim.capacity) ?? request
  return { found: await limitFindings(access, name, counted, size), raises: false }
}

function requestPatch({ claim }: DirectSight, size: Bytes): object {
  return { metadata: { uid: claim.uid }, spec: { resources: { requests: { storage: quantityOf(size) } } } }
}

/** How often somebody else may change the object between our look and our write. */
const tries = 10

/** The server lets a PersistentVolume be lowered: what guards it is the version that was seen when its size was. */
async function raiseVolume({ access, volume: seen, name }: DirectSight, size: Bytes): Promise<readonly LayerState[]> {
  const path = volumePath(seen.name)
  let volume = seen
  for (let attempt = 1; ; attempt += 1) {
    if ((volume.capacity ?? 0n) >= size) return [volumeObjectLayer(volume)]
    const { uid, resourceVersion } = volume
    const answer = await access.patch(path, {
      metadata: { uid, resourceVersion },
      spec: { capacity: { storage: quantityOf(size) } },
    })
    if (answer.status < 300) {
      const written = volumeStateOf(answer.body)
      requireAtLeast(written.capacity, size, `PersistentVolume ${seen.name}`)
      return [volumeObjectLayer(written)]
    }
    if (answer.status !== 409 || attempt >= tries)
      throw answerError(answer, `publishing ${seen.name}`, 'unchanged', name)
    volume = volumeStateOf(await access.get(path))
    if (volume.uid !== seen.uid || volume.claimUid !== seen.claimUid) throw changedHands(seen.name)
  }
}

async function publishCapacity(sight: DirectSight, size: Bytes): Promise<readonly LayerState[]> {
  const claim = await changeStatus(
    sight,
    (now) => ({
      capacity: { storage: quantityOf(size) },
      // Merged by their types, so that what others have put there stays. Only those that are there: to delete another one makes an empty one (seen on 1.20.2).
      conditions: conditionTypes(now)
        .filter((type) => type === 'Resizing' || type === 'FileSystemResizePending')
        .map((type) => ({ type, $patch: 'delete' })),
    }),
    size,
  )
  requireAtLeast(claim.capacity, size, `claim ${labelOf(sight.name)}`)
  return [claimLayer(sight.name, claim)]
}

async function markPending(sight: DirectSight): Promise<readonly LayerState[]> {
  const pending = {
    type: 'FileSystemResizePending',
    status: 'True',
    message: 'The volume has grown. The filesystem grows once a pod mounts the claim.',
  }
  const claim = await changeStatus(sight, () => ({ conditions: [pending] }))
  return [claimLayer(sight.name, claim)]
}

async function changeStatus(
  { access, name, claim: seen }: DirectSight,
  statusOf: (claim: ClaimState) => object,
  enough?: Bytes,
): Promise<ClaimState> {
  const path = `${claimPath(name)}/status`
  let claim = seen
  for (let attempt = 1; ; attempt += 1) {
    if (enough !== undefined && (claim.capacity ?? 0n) >= enough) return claim
    const { uid, resourceVersion } = claim
    const body = { metadata: { uid, resourceVersion }, status: statusOf(claim) }
    const answer = await access.patch(path, body, { contentType: strategicPatch })
    if (answer.status < 300) return claimStateOf(answer.body)
    if (answer.status !== 409 || attempt >= tries)
      throw answerError(answer, `publishing ${labelOf(name)}`, 'unchanged', name)
    claim = claimStateOf(await access.get(claimPath(name)))
    if (claim.uid !== seen.uid) throw changedHands(labelOf(name))
  }
}

/** All that it has, whether they are true or not. */
function conditionTypes({ object }: ClaimState): readonly string[] {
  return listAt(object, 'status', 'conditions').flatMap((condition) => textAt(condition, 'type') ?? [])
}

async function raiseRequest(sight: DirectSight, size: Bytes): Promise<readonly LayerState[]> {
  const { access, name } = sight
  const answer = await access.patch(claimPath(name), requestPatch(sight, size))
  if (answer.status >= 300) {
    // Somebody has asked for more meanwhile: theirs stays.
    const claim = claimStateOf(await access.get(claimPath(name)))
    if ((claim.request ?? 0n) >= size) return [claimLayer(name, claim)]
    throw answerError(answer, `raising the request of ${labelOf(name)}`, 'unchanged', name)
  }
  return [claimLayer(name, claimStateOf(answer.body))]
}

function requireAtLeast(size: Bytes | undefined, wanted: Bytes, what: string): void {
  if ((size ?? 0n) >= wanted) return
  throw new VolumeExpansionError(
    'verification-failed',
    `The API server took ${formatSize(wanted)} for ${what}, and then shows ${formatSize(size ?? 0n)}.`,
    {
      ...{ layer: 'claim', outcome: 'unknown' },
      remedy: 'See whether an admission webhook of the cluster changes it, and run this again.',
    },
  )
}

function changedHands(what: string): VolumeExpansionError {
  return new VolumeExpansionError(
    'identity-mismatch',
    `${what} was deleted and made anew, or belongs to another claim now.`,
    {
      ...{ layer: 'claim', outcome: 'changed' },
      remedy: 'What was grown stays grown. Look at both, and run this again for the claim that has the volume now.',
    },
  )
}
