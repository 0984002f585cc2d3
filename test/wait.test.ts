import { describe, expect, test, vi } from 'vitest'
import { VolumeExpansionError } from '../src/errors.ts'
import { virtualClock } from '../src/testing/index.ts'
import { type PollOptions, pollUntil } from '../src/wait.ts'

const retryable = (retryAfter?: number): VolumeExpansionError =>
  new VolumeExpansionError('backend-unreachable', 'no answer', {
    layer: 'volume',
    outcome: 'unchanged',
    retryable: true,
    ...(retryAfter !== undefined && { retryAfter }),
  })

interface Setup {
  readonly clock: ReturnType<typeof virtualClock>
  readonly times: number[]
  readonly poll: (options?: Partial<PollOptions<string>>) => Promise<string>
}

/** A poll that records when it looked; done once the state says so. */
function setup(read: (look: number, signal: AbortSignal) => Promise<string> | string): Setup {
  const clock = virtualClock()
  const times: number[] = []
  const poll = (options: Partial<PollOptions<string>> = {}): Promise<string> =>
    pollUntil<string>({
      what: 'vol-1 to reach 2 GiB',
      layer: 'volume',
      read: async (signal) => {
        times.push(clock.now())
        return await read(times.length, signal)
      },
      judge: (state) => (state === 'done' ? 'done' : 'waiting'),
      deadline: 60_000,
      clock,
      random: () => 0,
      ...options,
    })
  return { clock, times, poll }
}

describe('intervals', () => {
  test('looks at once, and never sleeps when that is enough', async () => {
    const { clock, times, poll } = setup(() => 'done')
    expect(await poll()).toBe('done')
    expect(times).toEqual([0])
    expect(clock.pending).toBe(0)
  })

  test('grow by the factor up to the cap', async () => {
    const { clock, times, poll } = setup((look) => (look === 13 ? 'done' : 'waiting'))
    await clock.run(poll())
    const gaps = times.slice(1).map((time, index) => Math.round(time - (times[index] ?? 0)))
    expect(gaps).toEqual([100, 160, 256, 410, 655, 1049, 1678, 2684, 4295, 5000, 5000, 5000])
  })

  test('are shortened at random by up to a half', async () => {
    const { clock, times, poll } = setup((look) => (look === 3 ? 'done' : 'waiting'))
    await clock.run(poll({ random: () => 0.5, schedule: { first: 1000, factor: 2, cap: 10_000 } }))
    expect(times).toEqual([0, 750, 2250])
  })

  test("a failed look's retryAfter lengthens the next one only", async () => {
    const { clock, times, poll } = setup((look) => {
      if (look === 2) throw retryable(7000)
      return look === 4 ? 'done' : 'waiting'
    })
    await clock.run(poll())
    expect(times).toEqual([0, 100, 7100, 7356])
  })
})

describe('failures', () => {
  test('a retryable one does not end the waiting', async () => {
    const { clock, poll } = setup((look) => {
      if (look < 4) throw retryable()
      return 'done'
    })
    expect(await clock.run(poll())).toBe('done')
  })

  test.each([
    ['a final one', new VolumeExpansionError('not-found', 'gone', { layer: 'volume' })],
    ['a foreign one', new RangeError('what')],
  ])('%s ends it and is passed on as it is', async (_name, error) => {
    const { clock, times, poll } = setup((look) => {
      if (look === 2) throw error
      return 'waiting'
    })
    await expect(clock.run(poll())).rejects.toBe(error)
    expect(times).toHaveLength(2)
    expect(clock.pending).toBe(0)
  })

  test('what judge throws ends it', async () => {
    const { clock, poll } = setup(() => 'failed')
    const verdict = new VolumeExpansionError('backend-failed', 'it failed', { layer: 'volume' })
    const judge = (): never => {
      throw verdict
    }
    await expect(clock.run(poll({ judge }))).rejects.toBe(verdict)
  })
})

test('onState sees every state, the last one included', async () => {
  const { clock, poll } = setup((look) => (look === 3 ? 'done' : `look ${look}`))
  const seen: string[] = []
  await clock.run(poll({ onState: (state) => seen.push(state) }))
  expect(seen).toEqual(['look 1', 'look 2', 'done'])
})

describe('the deadline', () => {
  test('ends in a timeout that says what was waited for and what was seen, after a last look', async () => {
    const { clock, times, poll } = setup(() => 'resizing')
    await expect(clock.run(poll({ deadline: 10_000, provider: 'scripted' }))).rejects.toMatchObject({
      code: 'timeout',
      outcome: 'unknown',
      retryable: true,
      layer: 'volume',
      provider: 'scripted',
      message: 'Waited 10 s for vol-1 to reach 2 GiB; last seen: resizing',
      remedy: expect.stringContaining('Run it again'),
    })
    expect(times.at(-1)).toBe(10_000)
    expect(times.filter((time) => time >= 10_000)).toHaveLength(1)
  })

  test('a state that arrives with the last look is a success', async () => {
    const { clock, times, poll } = setup(() => (clock.now() >= 10_000 ? 'done' : 'waiting'))
    expect(await clock.run(poll({ deadline: 10_000 }))).toBe('done')
    expect(times.at(-1)).toBe(10_000)
  })

  test('one that has passed already allows one look', async () => {
    const { times, poll } = setup(() => 'waiting')
    await expect(poll({ deadline: -1 })).rejects.toMatchObject({ code: 'timeout' })
    expect(times).toEqual([0])
  })

  test('a retryAfter beyond it does not prevent the last look', async () => {
    const { clock, times, poll } = setup((look) => {
      if (look === 1) throw retryable(3_600_000)
      return 'done'
    })
    expect(await clock.run(poll({ deadline: 5000 }))).toBe('done')
    expect(times).toEqual([0, 5000])
  })

  test('keeps the last failure as the cause, and the last state in the message', async () => {
    const { clock, poll } = setup((look) => {
      if (look > 2) throw retryable()
      return 'resizing'
    })
    const error = await clock.run(poll({ deadline: 1000, describe: (state) => `state "${state}"` }).catch((e) => e))
    expect(error).toMatchObject({ code: 'timeout', cause: { code: 'backend-unreachable' } })
    expect(error.message).toBe(
      'Waited 1 s for vol-1 to reach 2 GiB; last seen: state "resizing"; the last look failed: no answer',
    )
  })

  test('a look that never answers is given up at the deadline, told so, and followed by a last one', async () => {
    let given: AbortSignal | undefined
    const { clock, times, poll } = setup((look, signal) => {
      if (look > 1) return 'done'
      given = signal
      return new Promise(() => undefined)
    })
    expect(await clock.run(poll({ deadline: 60_000 }))).toBe('done')
    expect(times).toEqual([0, 60_000])
    expect(given?.aborted).toBe(true)
  })

  test('a last look that never answers ends in a timeout as well', async () => {
    const { clock, poll } = setup(() => new Promise(() => undefined))
    await expect(clock.run(poll({ deadline: 60_000, lastLook: 5000 }))).rejects.toMatchObject({
      code: 'timeout',
      message: 'Waited 65 s for vol-1 to reach 2 GiB; nothing was seen',
    })
    expect(clock.pending).toBe(0)
  })
})

describe('an abort', () => {
  const reason = new Error('enough')

  test('before the start looks at nothing', async () => {
    const { times, poll } = setup(() => 'done')
    await expect(poll({ signal: AbortSignal.abort(reason) })).rejects.toMatchObject({ code: 'aborted', cause: reason })
    expect(times).toEqual([])
  })

  test('during a sleep ends it at once and leaves no timer', async () => {
    const { clock, poll } = setup(() => 'waiting')
    const controller = new AbortController()
    const polling = poll({ signal: controller.signal })
    const result = expect(polling).rejects.toMatchObject({ code: 'aborted', outcome: 'unknown', cause: reason })
    await clock.advance(150)
    controller.abort(reason)
    await result
    expect(clock.now()).toBe(150)
    expect(clock.pending).toBe(0)
  })

  test('during a look that does not honour its signal ends it at once', async () => {
    const { clock, poll } = setup(() => new Promise(() => undefined))
    const controller = new AbortController()
    const result = expect(poll({ signal: controller.signal })).rejects.toMatchObject({ code: 'aborted', cause: reason })
    await clock.settle()
    controller.abort(reason)
    await result
    expect(clock.pending).toBe(0)
  })

  test('that never comes leaves no listener on a signal that goes on', async () => {
    const { clock, poll } = setup((look) => (look === 10 ? 'done' : 'waiting'))
    const { signal } = new AbortController()
    const add = vi.spyOn(signal, 'addEventListener')
    const remove = vi.spyOn(signal, 'removeEventListener')
    await clock.run(poll({ signal }))
    expect(add).toHaveBeenCalled()
    expect(remove).toHaveBeenCalledTimes(add.mock.calls.length)
  })

  test('reaches the look that is under way', async () => {
    const { clock, poll } = setup(async (_look, signal) => {
      await clock.sleep(1000, signal)
      return 'waiting'
    })
    const controller = new AbortController()
    const result = expect(poll({ signal: controller.signal })).rejects.toMatchObject({ code: 'aborted' })
    await clock.settle()
    controller.abort(reason)
    await result
    expect(clock.pending).toBe(0)
  })
})
