import { VolumeExpansionError } from '../errors.ts'
import type { MountHints } from '../hints.ts'
import type { Host, MountSnapshot } from '../hosts/host.ts'
import { type Bytes, bytes } from '../size.ts'
import { patiently } from './patience.ts'
import type { StepServices } from './step.ts'

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

/** Looks at what is mounted at the path, and refuses what is not the volume. */
export async function lookAtMount(
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

export function refused(
  code: 'invalid-request' | 'not-found' | 'identity-mismatch' | 'contract-violated' | 'host-unreachable',
  message: string,
  { remedy }: { readonly remedy: string },
): VolumeExpansionError {
  return new VolumeExpansionError(code, message, { layer: 'filesystem', outcome: 'unchanged', remedy })
}
