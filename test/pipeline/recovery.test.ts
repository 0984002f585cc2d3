import { expect, test } from 'vitest'
import { defineStep, pipeline, type Step, VolumeExpansionError } from '../../src/index.ts'
import { failureOf } from './expansion.ts'

/** A step that writes down what is called of it. */
function noting(
  name: string,
  calls: string[],
  fails: 'act' | 'recover' | 'both' | 'nothing' = 'nothing',
): Step<object, object, object> {
  return defineStep<object, object, object>({
    name,
    async act() {
      calls.push(`${name} acts`)
      if (fails === 'act' || fails === 'both') {
        throw new VolumeExpansionError('tool-failed', `${name} fails.`, { layer: 'pipeline', remedy: 'Try again.' })
      }
    },
    async recover(_payload, _context, { signal }) {
      calls.push(`${name} recovers${signal.aborted ? ' aborted' : ''}`)
      if (fails === 'recover' || fails === 'both') throw new Error(`${name} is still down.`)
    },
  })
}

test('what had begun is put back in the opposite order, and what had not is left alone', async () => {
  const calls: string[] = []
  const run = pipeline()
    .use(noting('one', calls))
    .use(noting('two', calls, 'act'))
    .use(noting('three', calls))
  expect((await failureOf(run.run({ to: 'fill' }))).message).toBe('two fails.')
  expect(calls).toEqual(['one acts', 'two acts', 'two recovers', 'one recovers'])
})

test('a run that succeeds puts nothing back', async () => {
  const calls: string[] = []
  await pipeline().use(noting('one', calls)).run({ to: 'fill' })
  expect(calls).toEqual(['one acts'])
})

test('an abort does not reach what has to be put back', async () => {
  const calls: string[] = []
  const control = new AbortController()
  const aborting = defineStep<object, object, object>({
    name: 'abort',
    act: async () => control.abort(new Error('enough')),
  })
  const run = pipeline()
    .use(noting('one', calls))
    .use(aborting)
    .use(noting('three', calls))
    .run({
      ...{ to: 'fill', signal: control.signal },
    })
  expect((await failureOf(run)).code).toBe('aborted')
  expect(calls).toEqual(['one acts', 'one recovers'])
})

test('what could not be put back is said in the remedy, and the outcome is no longer unchanged', async () => {
  const calls: string[] = []
  const run = pipeline()
    .use(noting('one', calls, 'recover'))
    .use(noting('two', calls, 'act'))
  const error = await failureOf(run.run({ to: 'fill' }))
  expect(error).toMatchObject({ code: 'tool-failed', outcome: 'changed', remedy: 'one is still down. Try again.' })
})
