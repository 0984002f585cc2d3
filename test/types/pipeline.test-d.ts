import { expectTypeOf, test } from 'vitest'
import {
  type BackendObservation,
  type Claim,
  defineStep,
  type ExpansionEvent,
  expand,
  growBackend,
  growFilesystem,
  growLayers,
  type Host,
  locateDevice,
  locatePath,
  observeBackend,
  observeLayers,
  type Plan,
  pipeline,
  publishClaim,
  type Report,
  type Step,
  snapshotBefore,
  type Volume,
} from '../../src/index.ts'

declare const volume: Volume
declare const host: Host
declare const plan: Plan

const snapshotFirst = defineStep<
  { readonly snapshotName: string },
  { readonly backend: BackendObservation },
  { readonly snapshot: string }
>({
  name: 'snapshot first',
  observe: async ({ snapshotName, backend }) => ({ snapshot: `${snapshotName}-${backend.id}` }),
})

const publish = defineStep<{ readonly claim: { readonly name: string } }, { readonly snapshot: string }, object>({
  name: 'publish',
})

test('steps in order compile, and the input is what the steps ask for', () => {
  const grow = pipeline()
    .use(observeBackend())
    .use(locateDevice())
    .use(observeLayers())
    .use(snapshotFirst)
    .use(growBackend())
    .use(growLayers())
    .use(growFilesystem())
    .when('claim', publish)
  type Run = Parameters<typeof grow.run>[0]
  expectTypeOf<{ volume: Volume; host: Host; snapshotName: string; to: string }>().toExtend<Run>()
  expectTypeOf<{
    volume: Volume
    host: Host
    snapshotName: string
    to: string
    claim: { name: string }
  }>().toExtend<Run>()
  expectTypeOf<{ volume: Volume; host: Host; to: string }>().not.toExtend<Run>()
  expectTypeOf<{ volume: Volume; snapshotName: string; to: string }>().not.toExtend<Run>()
  expectTypeOf<{ volume: Volume; host: Host; snapshotName: string; to: string; claim: string }>().not.toExtend<Run>()
  expectTypeOf<Awaited<ReturnType<typeof grow.run>>>().toEqualTypeOf<Report>()
})

test('a wrong order does not compile', () => {
  // @ts-expect-error the device is located before the backend is known
  pipeline().use(locateDevice())
  // @ts-expect-error the layers are observed before the device is located
  pipeline().use(observeBackend()).use(observeLayers())
  // @ts-expect-error the backend is grown before it is observed
  pipeline().use(growBackend())
  const observed = pipeline().use(observeBackend()).use(locateDevice()).use(observeLayers())
  // @ts-expect-error the backend is grown after the layers above it
  observed.use(growLayers()).use(growBackend())
  // @ts-expect-error the layers are grown after the filesystem above them
  observed.use(growFilesystem()).use(growLayers())
  // @ts-expect-error the snapshot is made after the growth
  observed.use(growBackend()).use(snapshotBefore())
  observed.use(snapshotBefore()).use(growBackend())
  // @ts-expect-error a step of one's own is used before what it needs
  pipeline().use(snapshotFirst)
  // @ts-expect-error an optional step is used before what it needs
  observed.when('claim', publish)
  // @ts-expect-error what an optional step adds may be absent, so it cannot be needed
  observed.when('snapshotName', snapshotFirst).use(publish)
})

test('steps are invariant where it matters', () => {
  const needsNothing = defineStep<object, object, { readonly snapshot: string }>({
    name: 'x',
    observe: async () => ({ snapshot: '' }),
  })
  expectTypeOf(needsNothing).toEqualTypeOf<Step<object, object, { readonly snapshot: string }>>()
  // @ts-expect-error observe does not return what the step says that it adds
  defineStep<object, object, { readonly snapshot: string }>({ name: 'x', observe: async () => ({}) })
  // @ts-expect-error a part reads what the step does not say that it needs
  defineStep<object, object, object>({ name: 'x', observe: async ({ backend }) => ({ backend }) })
  // @ts-expect-error a part that does not exist
  defineStep<object, object, object>({ name: 'x', undo: async () => {} })
})

test('a request says exactly once how much', () => {
  expectTypeOf(expand({ volume, to: '200Gi' })).toExtend<Promise<Report>>()
  expectTypeOf(expand({ volume, to: '200Gi' })).toExtend<AsyncIterable<ExpansionEvent>>()
  expand({ volume, host, by: '20%', max: '1Ti', accept: ['dated-limit'], offline: true })
  expand({ host, path: '/data', to: 'fill' })
  expand({ host, device: '/dev/vdb', to: 10n ** 12n })
  expand({ volume, host, approved: plan })
  expand(plan)
  // @ts-expect-error both
  expand({ volume, to: '200Gi', by: '20%' })
  // @ts-expect-error neither
  expand({ volume })
  // @ts-expect-error a number has no unit
  expand({ volume, to: 200 })
  // @ts-expect-error an approved plan brings its own target
  expand({ volume, approved: plan, to: '200Gi' })
})

test('a wrong option does not compile', () => {
  // @ts-expect-error nothing to grow
  expand({ to: '200Gi' })
  // @ts-expect-error a host alone does not say what
  expand({ host, to: '200Gi' })
  // @ts-expect-error a path without a host
  expand({ volume, path: '/data', to: '200Gi' })
  // @ts-expect-error path and device at once, without a volume
  expand({ host, path: '/data', device: '/dev/vdb', to: 'fill' })
  // @ts-expect-error corruption cannot be accepted
  expand({ volume, to: '200Gi', accept: ['filesystem-damaged'] })
  // @ts-expect-error an option that does not exist
  expand({ volume, to: '200Gi', force: true })
  // @ts-expect-error not a volume
  expand({ volume: 'vol-1', to: '200Gi' })
  // @ts-expect-error a step of one's own has no such input
  pipeline().use(locatePath()).run({ host, path: '/data', to: 'fill', pth: '/data' })
})

declare const claim: Claim

test('a claim is published after its volume was read, and may be left out of the input', () => {
  const grow = pipeline().use(observeBackend()).use(growBackend()).when('claim', publishClaim())
  type Run = Parameters<typeof grow.run>[0]
  expectTypeOf<{ volume: Volume; to: string }>().toExtend<Run>()
  expectTypeOf<{ volume: Volume; claim: Claim; to: string }>().toExtend<Run>()
  expectTypeOf<{ volume: Volume; claim: string; to: string }>().not.toExtend<Run>()
  // @ts-expect-error nothing is known of the volume yet
  pipeline().use(publishClaim())
})

test('a claim is grown by one call, and says itself which volume and which host', () => {
  expectTypeOf<{ claim: Claim; to: string }>().toExtend<Parameters<typeof expand>[0]>()
  // @ts-expect-error the claim knows its host
  expand({ claim, host, to: '20Gi' })
})
