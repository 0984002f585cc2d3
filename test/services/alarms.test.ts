import { expect, test } from 'vitest'
import { type Alarm, arm, disarm } from '../../src/services/alarms.ts'
import { virtualClock } from '../../src/testing/index.ts'

function alarms(...times: readonly number[]) {
  const clock = virtualClock()
  const rung: number[] = []
  const made = times.map((at): Alarm => ({ at, ring: () => void rung.push(at) }))
  for (const alarm of made) arm(clock, alarm)
  return { clock, rung, made }
}

test('alarms ring at their times, whatever order they were set in, with one timer for all', async () => {
  const { clock, rung } = alarms(3000, 1000, 2000, 1000)
  expect(clock.pending).toBe(1)
  await clock.advance(999)
  expect(rung).toEqual([])
  await clock.advance(1)
  expect(rung).toEqual([1000, 1000])
  await clock.advance(5000)
  expect(rung).toEqual([1000, 1000, 2000, 3000])
  expect(clock.pending).toBe(0)
})

test('one that is taken back never rings, and the last leaves no timer behind', async () => {
  const { clock, rung, made } = alarms(1000, 2000)
  for (const alarm of made) disarm(clock, alarm)
  expect(clock.pending).toBe(0)
  await clock.advance(5000)
  expect(rung).toEqual([])
})

test('one whose time is over already rings as soon as time goes on', async () => {
  const { clock, rung } = alarms(-5)
  await clock.advance(1)
  expect(rung).toEqual([-5])
})
