import { VolumeExpansionError } from '../../errors.ts'
import type { MountHints } from '../../expander.ts'
import type { Finding } from '../../findings.ts'
import type { Host, MountSnapshot } from '../../hosts/host.ts'
import type { LayerState } from '../../layers/layer.ts'
import { type Bytes, bytes, formatSize } from '../../size.ts'
import { pollUntil } from '../../wait.ts'
import type { BackendObservation } from '../context.ts'
import { patiently } from '../patience.ts'
import { defineStep, type Step, type StepServices } from '../step.ts'
import type { Place } from './locate-device.ts'

/** What `observeMount()` adds: the mount of the volume on the host. */
export interface MountObservation {
  readonly host: Host
  readonly path: string
  readonly hints: MountHints
  readonly mount: MountSnapshot
  /** Bytes that its users see. */
  readonly size: Bytes
  /** What the proof said, where the hints have one. */
  readonly proof?: string
}

type Mounted = { readonly mount: MountObservation }

/** Finds the mount of a volume that is a network filesystem, and refuses when what is at `path` is not that volume. */
export function observeMount(): Step<
  { readonly host: Host } & Place,
  { readonly backend: BackendObservation },
  Mounted
> {
  return defineStep({
    name: 'observe mount',
    async observe({ host, path, backend }, services) {
      const { identity, expander, ref } = backend.handle
      if (path === undefined) {
        throw refused('invalid-request', `${identity.label} is a network filesystem: hosts have no device of it.`, {
          remedy: 'Give the `path` at which it is mounted on the host, or leave the host out.',
        })
      }
      const hints = expander.identify(ref, backend.state).mount
      if (hints === undefined) {
        throw refused(
          'contract-violated',
          `${expander.name} does not say how a mount of ${identity.label} is recognised.`,
          {
            remedy: 'Report this to whoever made the provider.',
          },
        )
      }
      return { mount: await look(host, path, hints, identity.label, services) }
    },
  })
}

/** Waits until the users of the mount see the volume's new size. Nothing grows on a client; that it shows is the proof of the growth. */
export function verifyMount(): Step<object, { readonly backend: BackendObservation } & Mounted, object> {
  return defineStep<object, { readonly backend: BackendObservation } & Mounted, object, Bytes, MountObservation>({
    name: 'verify mount',
    plan({ mount, backend }, draft) {
      const { size: whole } = backend.state
      const after = draft.predicted(backend.id) ?? whole
      const layer = layerOf(mount, backend)
      const { id, label } = layer
      const layers = [layer]
      if (isLimited(mount, whole)) return { layers, findings: [limited(mount, id, label, whole)] }
      // Of a volume whose storage keeps something for itself, a tenth of the growth is left open.
      const growth = mount.hints.exact === true ? after - whole : ((after - whole) * 9n) / 10n
      if (growth <= 0n) return { layers }
      const shown = bytes(mount.size + growth)
      const action = {
        ...({
          id,
          layer: 'filesystem',
          target: id,
          before: mount.size,
          after: shown,
          commands: [],
          calls: [],
        } as const),
        summary: `wait until ${label} shows ${formatSize(shown)}`,
      }
      return { layers, actions: [{ action, payload: shown }] }
    },
    act: (size, { mount, backend }, services) =>
      pollUntil({
        what: `${mount.mount.mountPoint} to show ${formatSize(size)}`,
        layer: 'filesystem',
        read: () => look(mount.host, mount.path, mount.hints, backend.handle.identity.label, services),
        judge: (seen) => (seen.size >= size ? 'done' : 'waiting'),
        describe: (seen) => formatSize(seen.size),
        deadline: services.clock.now() + services.timeouts.device,
        ...services,
      }),
    verify: async (_size, { backend }, _services, seen) => [layerOf(seen, backend)],
  })
}

async function look(
  host: Host,
  path: string,
  hints: MountHints,
  label: string,
  services: StepServices,
): Promise<MountObservation> {
  const storage = { read: 'storage', at: { path } } as const
  const [answer] = await patiently(host, services, host.batch([storage] as const, { signal: services.signal }))
  const mount = answer.ok ? answer.value.mount : undefined
  if (mount === undefined) {
    const reason = answer.ok ? 'there is no mount at it' : answer.message
    throw refused('not-found', `${path} could not be looked at on ${host.id}: ${reason}.`, {
      remedy: `Check the path, and that ${label} is mounted there.`,
    })
  }
  const wrong = (reason: string): VolumeExpansionError =>
    refused('identity-mismatch', `What is mounted at ${mount.mountPoint} on ${host.id} is not ${label}: ${reason}.`, {
      remedy: 'Name the path at which this volume is mounted.',
    })
  if (mount.type !== hints.type) throw wrong(`it is ${mount.type} from ${mount.source}`)
  if (exportOf(mount.source) !== hints.export) throw wrong(`it comes from ${mount.source}`)
  const said = hints.proof === undefined ? [] : await textsOf(hints.proof.files, mount, host, services)
  const proof = said.find((text) => hints.proof?.equals.includes(text))
  if (hints.proof !== undefined && proof === undefined) {
    throw wrong(said.length === 0 ? 'nothing there proves that it is' : `it says ${said[0]}`)
  }
  if (!mount.statfs.ok) {
    throw refused('host-unreachable', `${mount.mountPoint} does not tell its size: ${mount.statfs.message}.`, {
      remedy: 'Check that the servers of the volume can be reached from the host.',
    })
  }
  const { blocks, blockSize } = mount.statfs.value
  const seen = { host, path, hints, mount, size: bytes(blocks * blockSize) }
  return proof === undefined ? seen : { ...seen, proof }
}

/** The export of `server:/export/directory`; several servers, and no slash at all, are usual too. */
export function exportOf(source: string): string | undefined {
  return /^[^/]+:\/?([^/]+)/.exec(source)?.[1]
}

async function textsOf(
  groups: readonly (readonly string[])[],
  { mountPoint }: MountSnapshot,
  host: Host,
  services: StepServices,
): Promise<readonly string[]> {
  const reads = groups.flat().map((file) => ({ read: 'file', path: `${mountPoint}/${file}` }) as const)
  const answers = await patiently(host, services, host.batch(reads, { signal: services.signal }))
  const texts = answers.map((answer) => (answer.ok ? answer.value.trim() : undefined))
  return groups.flatMap((files) => {
    const own = texts.splice(0, files.length)
    return own.includes(undefined) ? [] : [own.join(':')]
  })
}

function layerOf({ host, hints, mount, size, proof }: MountObservation, backend: BackendObservation): LayerState {
  return {
    ...{ id: `mount:${host.id}:${mount.mountPoint}`, kind: 'filesystem', host: host.id, size, below: [backend.id] },
    label: `${mount.type} on ${mount.mountPoint}`,
    identity: { type: mount.type, export: hints.export, ...(proof === undefined ? {} : { proof }) },
    facts: { source: mount.source },
  }
}

/** Whether users see clearly less than there is: a quota of the directory that is mounted. */
function isLimited({ hints, size }: MountObservation, whole: Bytes): boolean {
  return hints.exact === true ? size < whole : size < (whole * 9n) / 10n
}

function limited({ size }: MountObservation, target: string, label: string, whole: Bytes): Finding {
  return {
    code: 'quota-remains',
    severity: 'warning',
    layer: 'filesystem',
    target,
    message: `${label} shows ${formatSize(size)} of the ${formatSize(whole)} that the volume has: a quota limits it, and will go on to.`,
    remedy: 'Raise the quota of the directory that is mounted as well.',
  }
}

function refused(
  code: 'invalid-request' | 'not-found' | 'identity-mismatch' | 'contract-violated' | 'host-unreachable',
  message: string,
  { remedy }: { readonly remedy: string },
): VolumeExpansionError {
  return new VolumeExpansionError(code, message, { layer: 'filesystem', outcome: 'unchanged', remedy })
}
