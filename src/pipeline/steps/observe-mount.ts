import type { Finding } from '../../findings.ts'
import type { Host } from '../../hosts/host.ts'
import type { LayerState } from '../../layers/layer.ts'
import { type Bytes, bytes, formatSize } from '../../size.ts'
import { pollUntil } from '../../wait.ts'
import type { BackendObservation } from '../context.ts'
import type { MountObservation } from '../mount.ts'
import { defineStep, type Step } from '../step.ts'
import type { Place } from './locate-device.ts'

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
      const { lookAtMount, refused } = await import('../mount.ts')
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
      return { mount: await lookAtMount(host, path, hints, identity.label, services) }
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
    async act(size, { mount, backend }, services) {
      const { lookAtMount } = await import('../mount.ts')
      return await pollUntil({
        what: `${mount.mount.mountPoint} to show ${formatSize(size)}`,
        layer: 'filesystem',
        read: () => lookAtMount(mount.host, mount.path, mount.hints, backend.handle.identity.label, services),
        judge: (seen) => (seen.size >= size ? 'done' : 'waiting'),
        describe: (seen) => formatSize(seen.size),
        deadline: services.clock.now() + services.timeouts.device,
        ...services,
      })
    },
    verify: async (_size, { backend }, _services, seen) => [layerOf(seen, backend)],
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
