import { expect, test } from 'vitest'
import { Cleanup } from '../../../examples/demo/cleanup.ts'

test('undoes the last thing first, each once, and goes on after a failure', async () => {
  const undone: string[] = []
  const cleanup = new Cleanup()
  cleanup.add('first', async () => void undone.push('first'))
  cleanup.add('second', async () => {
    throw new Error('is busy')
  })
  const now = cleanup.add('third', async () => void undone.push('third'))
  cleanup.add('fourth', async () => void undone.push('fourth'))
  await now()
  expect(undone).toEqual(['third'])
  expect(await cleanup.run()).toEqual(['second: is busy'])
  expect(undone).toEqual(['third', 'fourth', 'first'])
  expect(await cleanup.run()).toEqual([])
})

test('what could not be undone in time is tried again at the end', async () => {
  let tries = 0
  const cleanup = new Cleanup()
  const now = cleanup.add('mount', async () => {
    tries += 1
    if (tries === 1) throw new Error('is busy')
  })
  await expect(now()).rejects.toThrow('is busy')
  expect(await cleanup.run()).toEqual([])
  expect(tries).toBe(2)
})
