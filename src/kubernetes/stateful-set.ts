import { systemClock } from '../clock.ts'
import { abortedError, VolumeExpansionError } from '../errors.ts'
import { type Json, jsonSafe } from '../json.ts'
import { expandMany, type FleetEvent, type FleetReport } from '../pipeline/many.ts'
import type { RunOptions } from '../pipeline/plan.ts'
import { Run } from '../pipeline/run.ts'
import { formatSize, parseSize, type SizeInput } from '../size.ts'
import { pollUntil } from '../wait.ts'
import { type ClaimOptions, claim, clientOf } from './claim.ts'
import { ClusterAccess, type ClusterServices } from './cluster.ts'
import { isRecord, type KubernetesObject, listAt, recordAt, textAt, valueAt } from './fields.ts'
import { quantityOf, sizeOf } from './quantity.ts'
import { answerError } from './refusals.ts'

export interface StatefulSetOptions
  extends Omit<ClaimOptions, 'name'>,
    Pick<RunOptions, 'signal' | 'accept' | 'timeouts'> {
  /** Of the StatefulSet. */
  readonly name: string
  /** Which of its volume claim templates. Left out: the only one. */
  readonly template?: string
  /** The least size of each of its volumes. */
  readonly to: SizeInput
  /** How many claims grow at once. Left out: 1, in the order of their ordinals. Nothing more is begun after a failure. */
  readonly concurrency?: number
  /**
   * What becomes of the template, which Kubernetes lets nobody change, and by which later replicas are made. `leave`: it stays, and the report says so. `recreate`: the
   * StatefulSet is deleted without its pods, and made anew with the larger template, which takes the pods over; only after every claim has grown. Left out: `leave`.
   */
  readonly templates?: 'leave' | 'recreate'
}

export interface TemplateReport {
  readonly name: string
  /** `sufficient`: it was large enough. `left`: it is smaller than what its claims have now. `recreated`: with the new size. */
  readonly status: 'sufficient' | 'left' | 'recreated'
  /** What it says now. */
  readonly size: string
  /** What remains to be done. */
  readonly remedy?: string
}

export interface StatefulSetReport {
  readonly claims: readonly string[]
  readonly fleet: FleetReport
  readonly template: TemplateReport
  toJSON(): Json
}

/**
 * Grows all claims of a StatefulSet, those of ordinals that are scaled away included. Resolves also when one of them failed: the report has it, no further one was
 * begun, and the template was left alone. Idempotent: a run that died is resumed by running it again, also one that died between the deletion of the StatefulSet and
 * its making.
 *
 * @throws {TypeError} at once, when an argument is of the wrong kind
 * @throws {VolumeExpansionError} `not-found`, `ambiguous` (more than one template and none chosen), `permission-denied`, `aborted`
 */
export function growStatefulSet(options: StatefulSetOptions): Run<StatefulSetReport, FleetEvent> {
  const { namespace, name, concurrency = 1, templates = 'leave', signal, accept, timeouts, to } = options
  const { template: _template, templates: _templates, concurrency: _concurrency, to: _to, ...own } = options
  const { signal: _signal, accept: _accept, timeouts: _timeouts, ...ofClaims } = own
  // Checks the options that it shares with a claim.
  claim(ofClaims)
  if (templates !== 'leave' && templates !== 'recreate') throw new TypeError("`templates` is 'leave' or 'recreate'.")
  return new Run(async (emit) => {
    const services: ClusterServices = {
      ...{ clock: systemClock, random: Math.random, signal: signal ?? new AbortController().signal },
    }
    const access = new ClusterAccess(await clientOf(ofClaims), services, { namespace, name })
    const set = new SetAccess(access, services, namespace, name)
    const manifest = await set.restored()
    const template = chosenTemplate(manifest, name, options.template)
    const claims = await set.claims(template)
    const fleet = expandMany(
      claims.map((each) => ({
        ...{ claim: claim({ ...ofClaims, name: each }), to },
        ...(accept && { accept }),
        ...(timeouts && { timeouts }),
      })),
      { concurrency, haltAfterFailures: 1, ...(signal && { signal }) },
    )
    for await (const event of fleet) emit(event)
    const done = await fleet
    const parts = { claims, fleet: done, template: await finish(set, manifest, template, options, done) }
    return { ...parts, toJSON: () => jsonSafe(parts) }
  })
}

async function finish(
  set: SetAccess,
  manifest: KubernetesObject,
  template: string,
  { to, templates = 'leave', signal, name, namespace }: StatefulSetOptions,
  { failed, notStarted }: FleetReport,
): Promise<TemplateReport> {
  const size = templateSize(manifest, template)
  const wanted = parseSize(to)
  if ((sizeOf(size) ?? 0n) >= wanted) return { name: template, status: 'sufficient', size }
  if (templates === 'leave' || failed + notStarted > 0) {
    return {
      ...{ name: template, status: 'left', size },
      remedy: `New replicas of ${name} are still made with ${size}: Kubernetes lets nobody change the template. Raise it where the StatefulSet is defined to ${formatSize(wanted)}, delete the set without its pods (kubectl -n ${namespace} delete statefulset ${name} --cascade=orphan; --cascade=false before 1.20), and apply it again; or ask for templates: 'recreate'.`,
    }
  }
  if (signal?.aborted === true) throw abortedError(signal, 'claim', 'changed')
  await set.recreate(manifest, template, quantityOf(wanted))
  return { name: template, status: 'recreated', size: quantityOf(wanted) }
}

function chosenTemplate(manifest: KubernetesObject, set: string, chosen: string | undefined): string {
  const names = listAt(manifest, 'spec', 'volumeClaimTemplates').map((each) => textAt(each, 'metadata', 'name') ?? '')
  const [first, ...others] = names
  if (chosen === undefined ? others.length === 0 : names.includes(chosen)) {
    const name = chosen ?? first
    if (name !== undefined) return name
  }
  const code = names.length === 0 || chosen !== undefined ? 'not-found' : 'ambiguous'
  throw new VolumeExpansionError(
    code,
    `StatefulSet ${set} has the volume claim templates: ${names.join(', ') || 'none'}.`,
    {
      ...{ layer: 'claim', outcome: 'unchanged' },
      remedy: 'Say which one with `template`.',
    },
  )
}

function templateSize(manifest: KubernetesObject, template: string): string {
  const found = listAt(manifest, 'spec', 'volumeClaimTemplates').find(
    (each) => textAt(each, 'metadata', 'name') === template,
  )
  return textAt(found, 'spec', 'resources', 'requests', 'storage') ?? 'an unknown size'
}

/** A StatefulSet, and the note that is kept of it while it is deleted and made anew. */
class SetAccess {
  readonly #access: ClusterAccess
  readonly #services: ClusterServices
  readonly #namespace: string
  readonly #name: string

  constructor(access: ClusterAccess, services: ClusterServices, namespace: string, name: string) {
    this.#access = access
    this.#services = services
    this.#namespace = namespace
    this.#name = name
  }

  get #sets(): string {
    return `/apis/apps/v1/namespaces/${this.#namespace}/statefulsets`
  }

  get #notes(): string {
    return `/api/v1/namespaces/${this.#namespace}/configmaps`
  }

  get #note(): string {
    return `${this.#notes}/volume-expander-statefulset-${this.#name}`
  }

  /** The StatefulSet; made anew from the note when an earlier run died before it did. */
  async restored(): Promise<KubernetesObject> {
    const answer = await this.#access.answer({ method: 'GET', path: `${this.#sets}/${this.#name}` })
    const isGoing = textAt(answer.body, 'metadata', 'deletionTimestamp') !== undefined
    if (answer.status < 300 && !isGoing) return isRecord(answer.body) ? answer.body : {}
    const note = await this.#access.look(this.#note)
    const kept = textAt(note, 'data', 'manifest')
    if (kept === undefined) throw answerError(answer, `StatefulSet ${this.#name}`, 'unchanged', this.#ref)
    const manifest = JSON.parse(kept) as KubernetesObject
    await this.#untilGone()
    return this.#make(manifest)
  }

  /** Names of the claims of one template, in the order of their ordinals. */
  async claims(template: string): Promise<readonly string[]> {
    const list = await this.#access.get(`/api/v1/namespaces/${this.#namespace}/persistentvolumeclaims`)
    const prefix = `${template}-${this.#name}-`
    return listAt(list, 'items')
      .flatMap((each) => textAt(each, 'metadata', 'name') ?? [])
      .filter((each) => each.startsWith(prefix) && /^\d+$/.test(each.slice(prefix.length)))
      .sort((a, b) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)))
  }

  /** Deletes the set without its pods, and makes it anew with a larger template. What is needed to make it is written down first. */
  async recreate(seen: KubernetesObject, template: string, size: string): Promise<void> {
    const manifest = withTemplateSize(seen, template, size)
    await this.#keep(manifest)
    const { uid, resourceVersion } = recordAt(seen, 'metadata')
    const answer = await this.#access.answer({
      method: 'DELETE',
      path: `${this.#sets}/${this.#name}`,
      body: {
        ...{ apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Orphan' },
        // Exactly what was seen: whatever somebody has changed since would be lost.
        preconditions: { uid, resourceVersion },
      },
    })
    if (answer.status >= 300 && answer.status !== 404) {
      await this.#forget()
      throw answerError(answer, `deleting StatefulSet ${this.#name} without its pods`, 'changed', this.#ref)
    }
    await this.#untilGone()
    await this.#make(manifest)
  }

  get #ref(): { readonly namespace: string; readonly name: string } {
    return { namespace: this.#namespace, name: this.#name }
  }

  async #keep(manifest: KubernetesObject): Promise<void> {
    const name = this.#note.slice(this.#notes.length + 1)
    const body = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name },
      data: { manifest: JSON.stringify(manifest) },
    }
    const answer = await this.#access.answer({ method: 'POST', path: this.#notes, body })
    if (answer.status < 300) return
    if (answer.status === 409) {
      // Of a run that died before it deleted anything.
      const again = await this.#access.patch(this.#note, { data: body.data })
      if (again.status < 300) return
      throw answerError(again, 'keeping the StatefulSet', 'changed', this.#ref)
    }
    throw answerError(answer, 'keeping the StatefulSet', 'changed', this.#ref)
  }

  async #forget(): Promise<void> {
    await this.#access.answer({ method: 'DELETE', path: this.#note })
  }

  async #make(manifest: KubernetesObject): Promise<KubernetesObject> {
    const answer = await this.#access.answer({ method: 'POST', path: this.#sets, body: manifest })
    if (answer.status >= 300) {
      const error = answerError(answer, `making StatefulSet ${this.#name} anew`, 'changed', this.#ref)
      const remedy = `It is deleted, and its pods run on. Run this again, or make it by hand: kubectl -n ${this.#namespace} get configmap ${this.#note.slice(this.#notes.length + 1)} -o jsonpath='{.data.manifest}' | kubectl create -f -`
      throw error.with({ remedy })
    }
    await this.#forget()
    return isRecord(answer.body) ? answer.body : {}
  }

  /** The garbage collector takes the pods' references to the set away before it lets it go. */
  async #untilGone(): Promise<void> {
    const { clock, random, signal } = this.#services
    await pollUntil<number>({
      what: `StatefulSet ${this.#name} to be gone`,
      layer: 'claim',
      read: async () => (await this.#access.answer({ method: 'GET', path: `${this.#sets}/${this.#name}` })).status,
      judge: (status) => (status === 404 ? 'done' : 'waiting'),
      describe: () => 'it is still there',
      deadline: clock.now() + 120_000,
      ...{ clock, random, signal },
    })
  }
}

/** What the server has added to an object, and what it would not take back. */
const serversOwn: ReadonlySet<string> = new Set([
  ...['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'],
  ...['managedFields', 'selfLink', 'finalizers'],
])

function withTemplateSize(set: KubernetesObject, template: string, size: string): KubernetesObject {
  const { status: _status, ...rest } = set
  const metadata = Object.fromEntries(Object.entries(recordAt(set, 'metadata')).filter(([key]) => !serversOwn.has(key)))
  const volumeClaimTemplates = listAt(set, 'spec', 'volumeClaimTemplates').map((each) => {
    if (!isRecord(each) || textAt(each, 'metadata', 'name') !== template) return each
    const { status: _ofTemplate, ...claimTemplate } = each
    const requests = { ...recordAt(each, 'spec', 'resources', 'requests'), storage: size }
    const resources = { ...recordAt(each, 'spec', 'resources'), requests }
    return { ...claimTemplate, spec: { ...(valueAt(each, 'spec') as KubernetesObject), resources } }
  })
  return {
    ...rest,
    ...{ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata },
    spec: { ...recordAt(set, 'spec'), volumeClaimTemplates },
  }
}
