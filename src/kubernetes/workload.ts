import { VolumeExpansionError } from '../errors.ts'
import type { Finding } from '../findings.ts'
import type { Claim } from '../pipeline/claim.ts'
import type { BackendObservation } from '../pipeline/context.ts'
import { defineStep, type Step, type StepServices } from '../pipeline/step.ts'
import { pollUntil } from '../wait.ts'
import { claimOptionsOf, clientOf } from './claim.ts'
import { ClusterAccess } from './cluster.ts'
import { listAt, textAt } from './fields.ts'
import { answerError, type RefusedClaim } from './refusals.ts'
import { missingRights } from './rights.ts'
import { claimLayerId, claimPath, labelOf } from './sight.ts'
import { usersOf } from './users.ts'
import {
  stoppedAnnotation,
  stoppedForAnnotation,
  usesClaim,
  type WorkloadState,
  workloadOf,
  workloadPath,
  workloadsOf,
} from './workload-state.ts'

/** What `stopWorkload()` adds: who uses the claim, and how to reach it. */
export interface WorkloadObservation {
  readonly access: ClusterAccess
  readonly name: RefusedClaim
  readonly workloads: readonly WorkloadState[]
  readonly findings: readonly Finding[]
}

type Input = { readonly claim: Claim }
type Adds = { readonly workload: WorkloadObservation; readonly usersWillStop: true }
/** A pipeline that reads the volume from its backend also waits until nobody has it there. */
type Context = { readonly backend?: BackendObservation }

/**
 * Scales the Deployments and StatefulSets whose pods use the claim to nothing, and waits until the volume is free: no pod, no attachment and, where the pipeline has
 * read the volume from its backend, no user there. For volumes that cannot grow while they are in use; it comes before what grows. The number of replicas is kept in
 * an annotation that is written by the very request that stops the workload, so that a run that died is resumed by the next one, and a run that fails starts the
 * workload again before it ends; where it cannot, its error says so.
 */
export function stopWorkload(): Step<Input, object, Adds> {
  return defineStep<Input, Context, Adds, readonly WorkloadState[]>({
    name: 'stop workload',
    async observe({ claim }, services) {
      return { workload: await observeWorkloads(claim, services), usersWillStop: true }
    },
    plan({ workload: { workloads, findings, name } }) {
      const stopping = workloads.filter(({ replicas }) => replicas > 0)
      const warnings = stopping.map(
        (each): Finding => ({
          ...{ code: 'workload-stops', severity: 'warning', layer: 'claim', target: claimLayerId(name) },
          message: `${shown(each)} is stopped (${each.replicas} replicas) while its volume grows, and started again afterwards.`,
        }),
      )
      const scales = stopping.map((each) => `scale ${shown(each)} from ${each.replicas} to 0`)
      // One action for all of them: the volume is free only when the last one has let go of it.
      const action = {
        ...{ id: 'stop-workload', layer: 'claim' as const, commands: [] },
        calls: stopping.map(({ kind }) => `patch ${kind}`),
        summary: [...scales, `wait until the volume of claim ${labelOf(name)} is free`].join(', '),
      }
      return {
        findings: [...findings, ...warnings],
        actions: workloads.length === 0 ? [] : [{ action, payload: workloads }],
      }
    },
    async act(workloads, { workload, backend }, services) {
      for (const each of workloads) await scaleDown(workload, each)
      await untilFree(workload, backend, services)
    },
    async recover(workloads, { workload }, services) {
      const again = { ...workload, access: workload.access.with(services) }
      await all(workloads, (each) => scaleUp(again, each))
    },
  }) as Step<Input, object, Adds>
}

/** Scales what `stopWorkload()` has stopped to what it was, and waits until as many pods are ready. */
export function startWorkload(): Step<object, { readonly workload: WorkloadObservation }, object> {
  return defineStep<object, { readonly workload: WorkloadObservation }, object, readonly WorkloadState[]>({
    name: 'start workload',
    plan({ workload: { workloads } }) {
      const scales = workloads.map((each) => `scale ${shown(each)} to ${wanted(each)} again`)
      const action = {
        ...{ id: 'start-workload', layer: 'claim' as const, commands: [] },
        calls: workloads.map(({ kind }) => `patch ${kind}`),
        summary: [...scales, 'wait until it is ready'].join(', '),
      }
      return { actions: workloads.length === 0 ? [] : [{ action, payload: workloads }] }
    },
    async act(workloads, { workload }, services) {
      await all(workloads, (each) => scaleUp(workload, each))
      await all(workloads, (each) => untilReady(workload, each, services))
    },
  })
}

/** All of them, whatever becomes of one; then the first failure. */
async function all<Item>(items: readonly Item[], use: (item: Item) => Promise<void>): Promise<void> {
  const failed = (await Promise.allSettled(items.map(use))).find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
}

async function observeWorkloads(claim: Claim, services: StepServices): Promise<WorkloadObservation> {
  const options = claimOptionsOf(claim)
  const { namespace, name } = options
  const ref = { namespace, name }
  const access = new ClusterAccess(await clientOf(options), services, ref)
  const { workloads, strays } = await workloadsOf(access, namespace, name)
  const rights = await missingRights(
    access,
    ref,
    [...new Set(workloads.map(({ kind }) => kind))].map((resource) => ({
      ...{ verb: 'patch', resource, group: 'apps', scope: 'namespace' as const },
    })),
  )
  const findings: readonly Finding[] =
    strays.length === 0
      ? rights
      : [
          ...rights,
          {
            ...{ code: 'in-use', severity: 'blocker', layer: 'claim', target: claimLayerId(ref) },
            message: `${labelOf(ref)} is used by pods that no Deployment or StatefulSet runs: ${strays.join(', ')}.`,
            remedy: `Stop them yourself: kubectl -n ${namespace} delete pod ${strays.join(' ')}`,
          },
        ]
  return { access, name: ref, workloads, findings }
}

function shown({ kind, name }: WorkloadState): string {
  return `${kind === 'deployments' ? 'Deployment' : 'StatefulSet'} ${name}`
}

function wanted({ replicas, stoppedFrom }: WorkloadState): number {
  return replicas > 0 ? replicas : (stoppedFrom ?? 0)
}

/** How often somebody else may change it between our look and our request: its own controller writes its status all the time. */
const tries = 10

/** Idempotent: what is stopped already stays so. */
async function scaleDown({ access, name }: WorkloadObservation, seen: WorkloadState): Promise<void> {
  let state = seen
  for (let attempt = 1; state.replicas > 0; attempt += 1) {
    const { uid, resourceVersion, replicas } = state
    const annotations = { [stoppedAnnotation]: `${replicas}`, [stoppedForAnnotation]: name.name }
    const body = { metadata: { uid, resourceVersion, annotations }, spec: { replicas: 0 } }
    const answer = await access.patch(workloadPath(state), body)
    if (answer.status < 300) return
    if (answer.status !== 409 || attempt >= tries) {
      throw answerError(answer, `stopping ${shown(state)}`, 'unchanged', name)
    }
    state = workloadOf(state.kind, await access.get(workloadPath(state)))
    if (state.uid !== seen.uid) throw answerError(answer, `stopping ${shown(seen)}`, 'unchanged', name)
  }
}

/** Idempotent: what runs is left as it is. */
async function scaleUp({ access, name }: WorkloadObservation, state: WorkloadState): Promise<void> {
  const remedy = `Start it: kubectl -n ${state.namespace} scale ${state.kind.slice(0, -1)} ${state.name} --replicas=${wanted(state)}`
  const failed = (why: string, cause?: unknown): VolumeExpansionError =>
    new VolumeExpansionError(
      'conflicting-change',
      `${shown(state)} is stopped, and could not be started again: ${why} ${remedy}`,
      {
        ...{ layer: 'claim', outcome: 'changed', remedy, ...(cause === undefined ? {} : { cause }) },
      },
    )
  try {
    const now = workloadOf(state.kind, await access.get(workloadPath(state)))
    if (now.uid !== state.uid) throw failed('it is another one now.')
    if (now.replicas > 0 || now.stoppedFrom === undefined) return
    const annotations = { [stoppedAnnotation]: null, [stoppedForAnnotation]: null }
    const answer = await access.patch(workloadPath(state), {
      metadata: { uid: now.uid, annotations },
      spec: { replicas: now.stoppedFrom },
    })
    if (answer.status >= 300) throw answerError(answer, `starting ${shown(state)}`, 'changed', name)
  } catch (thrown) {
    if (thrown instanceof VolumeExpansionError && thrown.message.includes('could not be started')) throw thrown
    throw failed(thrown instanceof Error ? thrown.message : String(thrown), thrown)
  }
}

async function untilFree(
  { access, name }: WorkloadObservation,
  backend: BackendObservation | undefined,
  services: StepServices,
): Promise<void> {
  const { namespace } = name
  const volume = textAt(await access.get(claimPath(name)), 'spec', 'volumeName') ?? ''
  await pollUntil<readonly string[]>({
    what: `${labelOf(name)} to be free`,
    layer: 'claim',
    async read(signal) {
      const pods = await access.get(`/api/v1/namespaces/${namespace}/pods`)
      const using = listAt(pods, 'items').filter((pod) => usesClaim(pod, name.name))
      if (using.length > 0) return using.map((pod) => `pod ${textAt(pod, 'metadata', 'name') ?? ''}`)
      const { nodes } = await usersOf(access, name, volume)
      if (nodes.length > 0) return nodes.map((node) => `node ${node}`)
      const state = await backend?.managed.read(signal)
      return (state?.users ?? []).map(({ description }) => description)
    },
    judge: (users) => (users.length === 0 ? 'done' : 'waiting'),
    onState: (users) => {
      if (users.length > 0) services.waiting('claim', `still used by ${users.join(', ')}`)
    },
    describe: (users) => `still used by ${users.join(', ') || 'nobody'}`,
    deadline: services.clock.now() + services.timeouts.backend,
    ...services,
  })
}

async function untilReady(
  { access }: WorkloadObservation,
  state: WorkloadState,
  services: StepServices,
): Promise<void> {
  const replicas = wanted(state)
  await pollUntil<WorkloadState>({
    what: `${shown(state)} to be ready`,
    layer: 'claim',
    read: async () => workloadOf(state.kind, await access.get(workloadPath(state))),
    judge: (now) => (now.ready >= replicas ? 'done' : 'waiting'),
    describe: ({ ready }) => `${ready} of ${replicas} ready`,
    deadline: services.clock.now() + services.timeouts.backend,
    ...services,
  })
}
