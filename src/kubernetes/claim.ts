import { VolumeExpansionError } from '../errors.ts'
import { handleOf, type Provider, type Volume } from '../expander.ts'
import type { Finding, FindingCode } from '../findings.ts'
import type { Host } from '../hosts/host.ts'
import type { Claim, GivenVolume, ResolvedClaim } from '../pipeline/claim.ts'
import type { StepServices } from '../pipeline/step.ts'
import { type ClaimState, claimStateOf, type VolumeObjectState, volumeStateOf } from './claim-state.ts'
import type { KubernetesClient } from './client.ts'
import { ClusterAccess } from './cluster.ts'
import { type DirectSight, directGrowth } from './direct.ts'
import { textAt, valueAt } from './fields.ts'
import type { WhenUnmounted } from './following.ts'
import { kubeconfigClient } from './kubeconfig.ts'
import { nativeGrowth } from './native.ts'
import { ownerFindings } from './owners.ts'
import type { RefusedClaim } from './refusals.ts'
import { type ClaimSight, claimLayer, claimLayerId, claimPath, labelOf, volumePath } from './sight.ts'
import { type ClaimUsers, describePods, usersOf } from './users.ts'

/** Who does the work: the cluster itself, or this library. */
export type ClaimDriver = 'native' | 'direct'

export interface ClaimOptions {
  readonly namespace: string
  readonly name: string
  /** Path of a kubeconfig, whose current context is used; needs the package @kubernetes/client-node. Left out, without a `client`: where kubectl finds it. */
  readonly kubeconfig?: string
  /** A client of one's own, instead of a kubeconfig. */
  readonly client?: KubernetesClient
  /** The providers that may have the volume. Left out: only the cluster itself can grow it. */
  readonly volumes?: readonly Provider[]
  /** The host behind a node's name. Called only when the filesystem is grown here. */
  readonly hosts?: (node: string) => Host | undefined | Promise<Host | undefined>
  /**
   * Left out: `native` where the storage class allows growth, otherwise `direct` where one of `volumes` knows the volume. `direct` is refused while something in the
   * cluster grows the volume.
   */
  readonly driver?: ClaimDriver
  /**
   * With the cluster's own growth: what to do when only the filesystem is left to grow, which a kubelet does, and no pod mounts the claim. `fail`: an error with the code
   * `pod-needed`, outcome `changed`. `wait`: until a pod mounts it, or the deadline. `accept`: success, with the claim as it is. Left out: `fail`.
   */
  readonly unmounted?: WhenUnmounted
}

const nameFormat = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

/**
 * A claim of a cluster, to be grown by `expand({ claim, to })`, or published by a pipeline's `publishClaim()`. Nothing is asked of the cluster before a run begins.
 *
 * @throws {TypeError} when an option is malformed
 */
export function claim(options: ClaimOptions): Claim {
  const { namespace, name, kubeconfig, client, volumes = [], hosts, driver, unmounted } = options
  for (const [key, value] of Object.entries({ namespace, name })) {
    if (typeof value !== 'string' || !nameFormat.test(value)) throw new TypeError(`\`${key}\` is a name in Kubernetes.`)
  }
  if (kubeconfig !== undefined && client !== undefined) throw new TypeError('Give `kubeconfig` or `client`, not both.')
  if (kubeconfig !== undefined && typeof kubeconfig !== 'string') throw new TypeError('`kubeconfig` is a path.')
  if (client !== undefined && (typeof client.send !== 'function' || typeof client.watch !== 'function')) {
    throw new TypeError('`client` has a send() and a watch().')
  }
  if (!Array.isArray(volumes) || volumes.some((each) => typeof each?.fromPersistentVolume !== 'function')) {
    throw new TypeError('`volumes` is a list of providers that know PersistentVolumes, such as rbd(…).')
  }
  if (hosts !== undefined && typeof hosts !== 'function')
    throw new TypeError('`hosts` is a function of the name of a node.')
  if (driver !== undefined && driver !== 'native' && driver !== 'direct') {
    throw new TypeError("`driver` is 'native' or 'direct'.")
  }
  if (unmounted !== undefined && !['fail', 'wait', 'accept'].includes(unmounted)) {
    throw new TypeError("`unmounted` is 'fail', 'wait' or 'accept'.")
  }
  const made: Claim = Object.freeze({
    label: `${namespace}/${name}`,
    resolve: (services: StepServices, _options: object, given?: GivenVolume) =>
      new Resolution(options, services, given).resolve(),
    toJSON: () => ({ namespace, name }),
  })
  optionsOf.set(made, options)
  return made
}

const optionsOf = new WeakMap<Claim, ClaimOptions>()

/** @throws {TypeError} when the value was not made by {@link claim} */
export function claimOptionsOf(made: Claim): ClaimOptions {
  const options = optionsOf.get(made)
  if (options === undefined) throw new TypeError('`claim` has to be one made by claim().')
  return options
}

export async function clientOf({ client, kubeconfig }: ClaimOptions): Promise<KubernetesClient> {
  return client ?? (await kubeconfigClient({ kubeconfig }))
}

class Resolution {
  readonly #options: ClaimOptions
  readonly #services: StepServices
  readonly #given: GivenVolume | undefined

  constructor(options: ClaimOptions, services: StepServices, given: GivenVolume | undefined) {
    this.#options = options
    this.#services = services
    this.#given = given
  }

  async resolve(): Promise<ResolvedClaim> {
    const { namespace, name } = this.#options
    const client = await clientOf(this.#options)
    if (!this.#services.planning) {
      await this.#services.exclusive(`claim:${client.server}:${namespace}/${name}`, 'claim')
    }
    const access = new ClusterAccess(client, this.#services, { namespace, name })
    const state = claimStateOf(await access.get(claimPath({ namespace, name })))
    const ref = { namespace, name, storageClass: state.storageClass }
    const { volumeName } = state
    if (state.phase !== 'Bound' || volumeName === undefined) return unbound(ref, state)
    const [object, classAllows] = await Promise.all([
      access.look(volumePath(volumeName)),
      allowsExpansion(access, state.storageClass),
    ])
    const sight: ClaimSight = {
      ...{ access, name: ref, claim: state },
      ...(object === undefined ? {} : { volume: volumeStateOf(object) }),
      ...(classAllows === undefined ? {} : { classAllows }),
    }
    const owned = ownerFindings(state.object, ref)
    if (sight.volume?.claimUid !== undefined && sight.volume.claimUid !== state.uid) {
      return blocked(sight, [otherClaims(sight), ...owned])
    }
    const backing = this.#backingOf(sight)
    const driver = this.#driver(sight, backing)
    if (driver === 'native') {
      return nativeGrowth(sight, [...owned, told(sight, driver)], this.#options.unmounted ?? 'fail')
    }
    return this.#direct(sight, backing, [...owned, told(sight, driver)])
  }

  #driver({ classAllows }: ClaimSight, backing: Volume | undefined): ClaimDriver {
    const { driver } = this.#options
    // In a pipeline that grows the volume itself, there is nothing to choose.
    if (this.#given !== undefined) return 'direct'
    if (driver !== undefined) return driver
    return classAllows === true || backing === undefined ? 'native' : 'direct'
  }

  #backingOf({ volume }: ClaimSight): Volume | undefined {
    const { volumes = [] } = this.#options
    if (volume === undefined) return undefined
    const found = volumes.flatMap((provider) => provider.fromPersistentVolume(volume.object) ?? [])
    if (found.length > 1) {
      const labels = found.map(({ provider, label }) => `${provider} ${label}`).join(', ')
      throw new VolumeExpansionError(
        'ambiguous',
        `PersistentVolume ${volume.name} fits more than one provider: ${labels}.`,
        {
          ...{ layer: 'claim', outcome: 'unchanged', remedy: 'Leave out of `volumes` those that do not have it.' },
        },
      )
    }
    return found[0]
  }

  async #direct(sight: ClaimSight, backing: Volume | undefined, known: readonly Finding[]): Promise<ResolvedClaim> {
    const { name, volume, claim: state, access } = sight
    if (volume === undefined) return blocked(sight, [...known, unseen(sight)])
    if (backing === undefined) return blocked(sight, [...known, unrecognised(sight, volume)])
    const found: Finding[] = [...known, ...servedBy(sight, volume), ...this.#otherVolume(sight, backing)]
    const users = await usersOf(access, name, volume.name)
    const { expander } = handleOf(backing)
    // A volume that is reached over the network as a filesystem has no device on any node.
    const shared = expander.capabilities.seenAs === 'mount'
    const onNode = !state.block && !shared
    const device = onNode && users.nodes.length > 0
    if (shared) found.push(notSeen(sight, users))
    if (device && users.nodes.length > 1) found.push(manyNodes(sight, users))
    if (state.block) found.push(...rawBlock(sight, expander.capabilities.hostsSeeGrowth))
    const blocks = found.some(({ severity, code }) => severity === 'blocker' && code !== 'owned-elsewhere')
    if (blocks) return blocked(sight, found)
    const direct: DirectSight = { ...sight, volume, leavesNode: onNode && !device }
    // In a pipeline of one's own, the volume and the host are the caller's.
    if (this.#given !== undefined) return directGrowth({ ...direct, leavesNode: onNode && !this.#given.onHost }, found)
    const [node] = users.nodes
    if (!device || node === undefined) return directGrowth({ ...direct, backing }, found)
    const host = await this.#options.hosts?.(node)
    if (host === undefined) return blocked(sight, [...found, noHost(sight, node)])
    return directGrowth({ ...direct, backing, host }, found)
  }

  /** The claim that is published has to be of the volume that was grown. */
  #otherVolume(sight: ClaimSight, backing: Volume): readonly Finding[] {
    if (this.#given === undefined) return []
    const mine = this.#given.backend.handle
    const its = handleOf(backing)
    if (mine.expander.name === its.expander.name && mine.identity.key === its.identity.key) return []
    return [
      finding(
        sight,
        'identity-mismatch',
        `The claim ${labelOf(sight.name)} has ${backing.provider} ${backing.label}, and not ${mine.expander.name} ${mine.identity.label}, which this run grows.`,
        'Give the claim of the volume that is grown.',
      ),
    ]
  }
}

/** Whether the class allows growth; undefined when it may not be seen. */
async function allowsExpansion(access: ClusterAccess, storageClass: string | undefined): Promise<boolean | undefined> {
  if (storageClass === undefined) return false
  const path = `/apis/storage.k8s.io/v1/storageclasses/${storageClass}`
  const { status, body } = await access.answer({ method: 'GET', path })
  if (status === 404) return false
  return status < 300 ? valueAt(body, 'allowVolumeExpansion') === true : undefined
}

function finding(
  { name }: { readonly name: RefusedClaim },
  code: FindingCode,
  message: string,
  remedy: string,
  severity: Finding['severity'] = 'blocker',
): Finding {
  return { code, severity, layer: 'claim', target: claimLayerId(name), message, remedy }
}

/** A claim with which nothing can be done; it is shown all the same. */
function blocked(
  { name, claim: state }: Pick<ClaimSight, 'name' | 'claim'>,
  findings: readonly Finding[],
): ResolvedClaim {
  return { findings, plan: () => ({ layers: [claimLayer(name, state)] }), prove: async () => undefined }
}

function unbound(name: RefusedClaim, state: ClaimState): ResolvedClaim {
  const why =
    state.phase === 'Lost'
      ? 'its PersistentVolume is gone'
      : 'no PersistentVolume is bound to it; with a class that waits for the first consumer, that takes a pod'
  const remedy = `See why: kubectl -n ${name.namespace} describe pvc ${name.name}. A claim that is not bound can be deleted and made anew with the right size.`
  return blocked({ name, claim: state }, [
    finding({ name }, 'claim-not-bound', `The claim ${labelOf(name)} is ${state.phase}: ${why}.`, remedy),
  ])
}

function otherClaims({ name, volume }: ClaimSight): Finding {
  return finding(
    { name },
    'identity-mismatch',
    `PersistentVolume ${volume?.name ?? ''} belongs to another claim, not to ${labelOf(name)} as it is now.`,
    `Look at both: kubectl get pv ${volume?.name ?? ''} -o jsonpath='{.spec.claimRef}'`,
  )
}

function unseen({ name, claim: { volumeName = '' } }: ClaimSight): Finding {
  return finding(
    { name },
    'permission-denied',
    `PersistentVolume ${volumeName} cannot be read, so that it is not known what the claim is.`,
    'Add to the ClusterRole of this user: {apiGroups: [""], resources: ["persistentvolumes"], verbs: ["get", "patch"]}',
  )
}

function unrecognised({ name }: ClaimSight, volume: VolumeObjectState): Finding {
  return finding(
    { name },
    'invalid-request',
    `None of \`volumes\` knows PersistentVolume ${volume.name}, which is of ${volume.source}.`,
    'Give the provider that has it, such as rbd(…), in `volumes`.',
  )
}

function noHost({ name }: ClaimSight, node: string): Finding {
  return finding(
    { name },
    'invalid-request',
    `The filesystem of ${labelOf(name)} is mounted on the node ${node}, and no host was given for it.`,
    `Give it: hosts: (node) => sshHost({ host: node, username: '…' })`,
  )
}

function manyNodes({ name }: ClaimSight, users: ClaimUsers): Finding {
  return finding(
    { name },
    'in-use',
    `${users.nodes.length} nodes have ${labelOf(name)} (${users.nodes.join(', ')}; pods: ${describePods(users) || 'none'}), and its filesystem is one that only one may mount.`,
    'Stop all but one of the pods, wait until the others are detached (kubectl get volumeattachment), and run this again.',
  )
}

function notSeen({ name }: ClaimSight, { nodes }: ClaimUsers): Finding {
  return finding(
    { name },
    'backend-only',
    `${labelOf(name)} is a network filesystem, on which nothing grows on a node. What ${nodes.length === 0 ? 'its mounts' : `the mounts of ${nodes.join(', ')}`} show is not looked at.`,
    'See it with df in a pod that has it, or grow the volume with the `host` and the `path` of a mount.',
    'note',
  )
}

function rawBlock({ name }: ClaimSight, hostsSeeGrowth: boolean): readonly Finding[] {
  const note = finding(
    { name },
    'cluster-driver',
    `${labelOf(name)} is a raw block volume: what is on it belongs to its application, and is neither looked at nor grown.`,
    'Let the application use the room.',
    'note',
  )
  if (hostsSeeGrowth) return [note]
  const message = `The node of ${labelOf(name)} may not see the new size of the raw block volume by itself.`
  return [
    note,
    finding(
      { name },
      'not-visible-by-itself',
      message,
      'Restart the pod that uses it, or let its node look again.',
      'warning',
    ),
  ]
}

/** Signs that something in the cluster grows this volume. */
function servedBy({ name, claim: state }: ClaimSight, volume: VolumeObjectState): readonly Finding[] {
  const signs: string[] = []
  const resizer = textAt(state.annotations, 'volume.kubernetes.io/storage-resizer')
  if (resizer !== undefined) signs.push(`its annotation names the resizer ${resizer}`)
  const migrated =
    textAt(volume.annotations, 'pv.kubernetes.io/migrated-to') ??
    textAt(state.annotations, 'pv.kubernetes.io/migrated-to')
  if (migrated !== undefined) signs.push(`its PersistentVolume was migrated to ${migrated}`)
  if (state.conditions.some(({ type }) => type === 'Resizing')) signs.push('it has the condition Resizing')
  if (state.resizeStatus !== undefined) signs.push(`its resize status is ${state.resizeStatus}`)
  else if (state.allocated !== undefined && state.allocated > (state.capacity ?? 0n))
    signs.push('resources are allocated for a resize')
  if (signs.length === 0) return []
  return [
    finding(
      { name },
      'served-by-cluster',
      `The cluster grows ${labelOf(name)} itself: ${signs.join('; ')}.`,
      "Let the cluster do it: driver: 'native'.",
    ),
  ]
}

/** Says in the plan who will do the work. */
function told({ name, classAllows, volume }: ClaimSight, driver: ClaimDriver): Finding {
  const { storageClass } = name
  const allows = classAllows === undefined ? 'cannot be seen' : classAllows ? 'allows growth' : 'does not allow growth'
  const what = storageClass === undefined ? 'it has no storage class' : `its storage class ${storageClass} ${allows}`
  const source = volume === undefined ? '' : `, its volume is of ${volume.source}`
  const who = driver === 'native' ? 'The cluster grows' : 'This library grows'
  return {
    ...{ code: 'cluster-driver', severity: 'note', layer: 'claim', target: claimLayerId(name) },
    message: `${who} ${labelOf(name)} (driver: ${driver}): ${what}${source}.`,
  }
}
