import { inspect, isDeepStrictEqual } from 'node:util'
import { errorCodes, VolumeExpansionError } from '../../errors.ts'
import type { DeviceHints } from '../../hints.ts'
import { jsonSafe } from '../../json.ts'
import { secretIn } from '../secrets.ts'
import { ConformanceFailure, holds, rejection } from '../suite.ts'
import { sameVolume } from './naming.ts'
import type { Probe, ProviderCase } from './probe.ts'

const foreign: readonly object[] = [
  {},
  { spec: {} },
  { spec: { csi: null } },
  { spec: { csi: { driver: 'nobody.example.com', volumeHandle: 'volume-1' } } },
  { spec: { nfs: { server: 'nobody.example.com', path: '/volume-1' } } },
]

/** Errors, hints for hosts, and the optional methods. */
export const describingCases: readonly ProviderCase[] = [
  {
    name: 'errors: JSON-safe, with codes and the provider',
    run: async (probe) => {
      for (const error of await failures(probe)) {
        holds(error instanceof VolumeExpansionError, `${error} is not a VolumeExpansionError.`)
        holds(error.code in errorCodes, `${error.code} is not a code.`)
        holds(error.layer === 'volume', `A provider's error is about the layer volume, not ${error.layer}.`)
        holds(error.provider === probe.expander.name, `The error names the provider ${error.provider}.`)
        holds(error.message !== '' && error.remedy !== undefined, 'An error says what happened, and what to do next.')
        holds(jsonOf(error).includes(`"code":"${error.code}"`), 'The error as JSON does not have its code.')
      }
    },
  },
  {
    name: 'secrets: none of them shows',
    skip: ({ secrets }) => (secrets === undefined ? 'the provider was given no secrets' : undefined),
    run: async (probe) => {
      const { expander, setup } = probe
      const volume = await probe.subject()
      const state = await probe.state(volume.ref)
      await probe.expand(volume.ref, volume.above(1))
      const { states } = await probe.until(volume, volume.above(1))
      const shown = {
        'the identity': expander.normalize(volume.ref),
        'a state': [state, ...states],
        'the hints': expander.identify(volume.ref, state),
        'the provider': expander,
        'an error': await failures(probe),
      }
      for (const [what, value] of Object.entries(shown)) {
        const text = `${inspect(value, { depth: 20, showHidden: true, maxStringLength: null })} ${jsonOf(value)}`
        holds(secretIn(text, setup.secrets ?? []) === undefined, `A secret shows in ${what}.`)
      }
    },
  },
  {
    name: 'identify: hints that a host can use',
    run: async (probe) => {
      const [one, other] = [await probe.subject(), await probe.subject()]
      const hints: DeviceHints[] = []
      for (const { ref } of [one, other]) {
        const state = await probe.state(ref)
        const before = structuredClone(state)
        const first = probe.expander.identify(ref, state)
        holds(
          isDeepStrictEqual(first, probe.expander.identify(ref, state)),
          'identify gives two answers to one question.',
        )
        holds(isDeepStrictEqual(state, before), 'identify changed the state.')
        usable(first)
        const seenAs = first.mount === undefined ? 'device' : 'mount'
        const declared = probe.capabilities.seenAs ?? 'device'
        holds(
          seenAs === declared,
          `Hosts have the volume as a ${declared}, it is declared, and the hints are of a ${seenAs}.`,
        )
        hints.push(first)
      }
      holds(
        !isDeepStrictEqual(hints[0], hints[1]),
        'Two volumes have the same hints: a host would take one for the other.',
      )
    },
  },
  {
    name: 'identify: the same before and after',
    run: async (probe) => {
      const volume = await probe.subject()
      const before = probe.expander.identify(volume.ref, await probe.state(volume.ref))
      await probe.expand(volume.ref, volume.above(1))
      const { last } = await probe.until(volume, volume.above(1))
      holds(isDeepStrictEqual(before, probe.expander.identify(volume.ref, last)), 'The hints changed with the size.')
    },
  },
  {
    name: 'parts: requests that name a host',
    skip: ({ expander }) => (expander.parts === undefined ? 'the provider has no parts' : undefined),
    run: async (probe) => {
      const { ref } = await probe.subject()
      const parts = (await probe.expander.parts?.(ref, await probe.state(ref))) ?? []
      for (const { label, host, path, device } of parts) {
        holds(label !== '', 'A part has a label.')
        holds(typeof host === 'object' && host !== null, `The part ${label} has no host.`)
        const places = [path, device].filter((place) => place !== undefined)
        holds(places.length === 1, `The part ${label} names neither one path nor one device.`)
        holds(
          places.every((place) => place.startsWith('/')),
          `The place of the part ${label} is not absolute.`,
        )
      }
    },
  },
  {
    name: 'persistent volumes: its own, and no others',
    skip: ({ expander }) =>
      expander.fromPersistentVolume === undefined ? 'the provider has no PersistentVolumes' : undefined,
    run: async ({ expander, setup }) => {
      if (setup.persistentVolumes === undefined) throw new ConformanceFailure('The setup has no PersistentVolumes.')
      for (const other of foreign) {
        const ref = recognise(expander, other)
        holds(ref === undefined, `${JSON.stringify(other)} belongs to somebody else.`)
      }
      for (const { persistentVolume, ref } of await setup.persistentVolumes()) {
        const found = recognise(expander, persistentVolume)
        holds(found !== undefined, `${JSON.stringify(persistentVolume)} was not recognised.`)
        holds(
          sameVolume(expander.normalize(found), expander.normalize(ref)),
          'The PersistentVolume became another volume.',
        )
      }
    },
  },
]

function recognise(expander: Probe['expander'], persistentVolume: object): unknown {
  try {
    return expander.fromPersistentVolume?.(persistentVolume)
  } catch (error) {
    throw new ConformanceFailure(`fromPersistentVolume threw for ${JSON.stringify(persistentVolume)}: ${error}`)
  }
}

/** Fails the case where what is for JSON cannot be written as such. */
function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value instanceof Error ? value : jsonSafe(value))
  } catch (error) {
    throw new ConformanceFailure(`It cannot be written as JSON: ${error}`)
  }
}

async function failures(probe: Probe): Promise<readonly unknown[]> {
  const { missing, malformed } = probe.setup
  const { above } = await probe.subject()
  const [entry] = await probe.read([missing])
  const calls = [missing, ...malformed].map((ref) =>
    rejection(probe.expand(ref, above(1)), 'A wrong ref was accepted.'),
  )
  return [entry, ...(await Promise.all(calls))]
}

function usable({ byId = [], serial, wwn, image, path, attributes = {}, mount }: DeviceHints): void {
  const marks = [...Object.values(attributes), mount?.type, mount?.export]
  const texts = [...byId, serial, wwn, image, path, ...marks].filter((hint) => hint !== undefined)
  holds(texts.length > 0, 'Without a hint no host can find the device.')
  holds(
    texts.every((hint) => typeof hint === 'string' && hint !== ''),
    'A hint is empty.',
  )
  holds(
    [image, path].every((hint) => hint === undefined || hint.startsWith('/')),
    'A path in the hints is not absolute.',
  )
  holds(
    byId.every((name) => !name.includes('/')),
    'byId holds names, not paths.',
  )
}
