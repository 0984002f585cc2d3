import { handleOf, type Volume } from '../expander.ts'
import type { Host } from '../hosts/host.ts'
import type { LayerState } from '../layers/layer.ts'
import type { Claim } from './claim.ts'
import type { ExpansionEvent } from './events.ts'
import { carryOut, type ExpansionRun, type Pipeline, pipeline, pipelineOf } from './pipeline.ts'
import type { HowMuch, Plan, RunOptions } from './plan.ts'
import type { Report } from './report.ts'
import { checkOptions, checkPath } from './request.ts'
import { growBackend } from './steps/grow-backend.ts'
import { growFilesystem } from './steps/grow-filesystem.ts'
import { growLayers } from './steps/grow-layers.ts'
import { growParts } from './steps/grow-parts.ts'
import { locateDevice, locatePath, type Place } from './steps/locate-device.ts'
import { observeBackend } from './steps/observe-backend.ts'
import { observeLayers } from './steps/observe-layers.ts'
import { observeMount, verifyMount } from './steps/observe-mount.ts'
import { resolveClaim, settleClaim } from './steps/publish-claim.ts'
import { warnBackendOnly } from './steps/warn-backend-only.ts'

/** What is to be grown: a volume alone, a volume with all that stands on it on a host, what a host has already, or the claim of a cluster. */
export type Subject = VolumeAlone | VolumeOnHost | PlaceOnHost | WholeClaim

/** The backend's volume alone: nothing on a host is looked at, and the report says so. */
export interface VolumeAlone {
  readonly volume: Volume
  readonly claim?: undefined
  readonly host?: undefined
  readonly path?: undefined
  readonly device?: undefined
}

/** The volume, its device on the host, the layers, and the filesystem; `path` or `device` chooses where the volume alone would be ambiguous. */
export interface VolumeOnHost extends Place {
  readonly volume: Volume
  readonly claim?: undefined
  readonly host: Host
}

/** What is on a host already, without its backend. */
export type PlaceOnHost = { readonly host: Host; readonly volume?: undefined; readonly claim?: undefined } & (
  | { readonly path: string; readonly device?: undefined }
  | { readonly device: string; readonly path?: undefined }
)

/** A claim of a cluster, made by `claim()` of `volume-expander/kubernetes`: it says itself which volume and which host. `to` is the size of its volume. */
export interface WholeClaim {
  readonly claim: Claim
  readonly volume?: undefined
  readonly host?: undefined
  readonly path?: undefined
  readonly device?: undefined
}

export type ExpandRequest = Subject & RunOptions & HowMuch

/** What {@link observe} saw. */
export interface Observation {
  /** From below to above. */
  readonly layers: readonly LayerState[]
  /** ISO date. */
  readonly observedAt: string
}

const backendOnly = pipeline().use(observeBackend()).use(growParts()).use(growBackend()).use(warnBackendOnly())
const wholeStack = pipeline()
  .use(observeBackend())
  .use(locateDevice())
  .use(observeLayers())
  .use(growParts())
  .use(growBackend())
  .use(growLayers())
  .use(growFilesystem())
/** Of a network filesystem hosts have a mount, on which nothing has to grow. */
const mounted = pipeline()
  .use(observeBackend())
  .use(observeMount())
  .use(growParts())
  .use(growBackend())
  .use(verifyMount())
const nodeOnly = pipeline().use(locatePath()).use(observeLayers()).use(growLayers()).use(growFilesystem())

// Which of these take part is known once the claim is resolved: a claim that the cluster grows itself has no volume here.
const wholeClaim = pipelineOf<WholeClaim, object>([
  { parts: resolveClaim().parts },
  { parts: observeBackend().parts, when: 'volume' },
  { parts: locateDevice().parts, when: 'host' },
  { parts: observeLayers().parts, when: 'host' },
  { parts: growParts().parts, when: 'volume' },
  { parts: growBackend().parts, when: 'volume' },
  { parts: growLayers().parts, when: 'host' },
  { parts: growFilesystem().parts, when: 'host' },
  { parts: settleClaim().parts },
])

/** Plans made by {@link plan}, with the request that `expand(plan)` goes on with. */
const requests = new WeakMap<Plan, ExpandRequest>()

/**
 * Makes a volume bigger for the people who use it: the volume, the device, the layers and the filesystem, online. Begins at once; never shrinks; does nothing where
 * everything is large enough; nothing irreversible happens before every later layer, tool, right and limit is proven. Given a plan of {@link plan}, it runs exactly
 * that plan, or refuses it as `stale-plan`.
 *
 * Idempotent: a run that died, timed out or was aborted is resumed by running it again.
 *
 * @throws {TypeError} at once, when an argument is of the wrong kind
 * @throws {VolumeExpansionError} (as the promise's rejection) with a stable code, the layer, the outcome, a remedy and the partial report
 */
export function expand(request: ExpandRequest | Plan): ExpansionRun {
  const checked = checkRequest(approvedRequest(request))
  return chosen(checked, (standard, input) => standard.run(input))
}

/** One of a fleet: {@link expand}, whose events go to the fleet. @throws {TypeError} at once, when an argument is of the wrong kind */
export function expandOne(request: ExpandRequest | Plan, emit: (event: ExpansionEvent) => void): Promise<Report> {
  const checked = checkRequest(approvedRequest(request))
  return chosen(checked, (standard, input) => carryOut(standard, input, emit))
}

/** What {@link expand} would do, and everything that was found. Touches nothing. */
export async function plan(request: ExpandRequest): Promise<Plan> {
  const checked = checkRequest(request)
  const made = await chosen(checked, (standard, input) => standard.plan(input))
  requests.set(made, checked)
  return made
}

/** Measures every layer, and touches nothing. */
export async function observe(
  subject: Subject & Pick<RunOptions, 'signal' | 'timeouts' | 'clock' | 'random'>,
): Promise<Observation> {
  const { layers, observedAt } = await plan({ ...subject, to: 'fill' })
  return { layers, observedAt }
}

function approvedRequest(request: ExpandRequest | Plan): ExpandRequest {
  if (typeof request !== 'object' || request === null || !('actions' in request)) return request
  const made = requests.get(request)
  if (made === undefined) {
    throw new TypeError(
      'This plan was not made by plan() of this process; pass it as `approved` together with its volume and host.',
    )
  }
  const { to: _to, by: _by, max: _max, ...rest } = made
  return { ...rest, approved: request } as ExpandRequest
}

/** Runs the standard pipeline that fits the request. */
function chosen<Result>(
  request: ExpandRequest,
  go: <Input, Context>(standard: Pipeline<Input, Context>, input: Input & RunOptions & HowMuch) => Result,
): Result {
  if (request.claim !== undefined) return go(wholeClaim, request)
  if (request.volume === undefined) return go(nodeOnly, request)
  if (request.host === undefined) return go(backendOnly, request)
  // While the backend is asked.
  if (request.signal?.aborted !== true) request.host.reach?.()
  const { seenAs } = handleOf(request.volume).expander.capabilities
  return seenAs === 'mount' ? go(mounted, request) : go(wholeStack, request)
}

function checkRequest(request: ExpandRequest): ExpandRequest {
  checkOptions(request)
  const { claim, volume, host, path, device } = request
  if (claim !== undefined) return checkClaim(request)
  if (volume !== undefined) handleOf(volume)
  if (
    host !== undefined &&
    (typeof host !== 'object' || typeof host.batch !== 'function' || typeof host.exec !== 'function')
  ) {
    throw new TypeError('`host` is a host, such as localHost().')
  }
  checkPath('path', path)
  checkPath('device', device)
  if (path !== undefined && device !== undefined) throw new TypeError('Give `path` or `device`, not both.')
  if (host === undefined && (path !== undefined || device !== undefined))
    throw new TypeError('`path` and `device` need a `host`.')
  if (volume === undefined && host === undefined) throw new TypeError('A `volume`, a `host`, or both have to be given.')
  if (volume === undefined && path === undefined && device === undefined) {
    throw new TypeError('Without a volume, `path` or `device` has to say what to grow.')
  }
  return request
}

function checkClaim(request: ExpandRequest): ExpandRequest {
  const { claim, volume, host, path, device } = request
  if (typeof claim !== 'object' || claim === null || typeof claim.resolve !== 'function') {
    throw new TypeError('`claim` is a claim made by claim() of volume-expander/kubernetes.')
  }
  if ([volume, host, path, device].some((given) => given !== undefined)) {
    throw new TypeError(
      'A `claim` says itself which volume and which host; leave out `volume`, `host`, `path` and `device`.',
    )
  }
  return request
}
