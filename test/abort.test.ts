import { expect, test, vi } from 'vitest'
import { onAbort } from '../src/abort.ts'

test('calls everyone who waits, once, in the order in which they came', () => {
  const controller = new AbortController()
  const calls: string[] = []
  onAbort(controller.signal, () => calls.push('first'))
  onAbort(controller.signal, () => calls.push('second'))
  controller.abort()
  controller.abort()
  expect(calls).toEqual(['first', 'second'])
})

test('does not call who has gone, not even while the others are being called', () => {
  const controller = new AbortController()
  const calls: string[] = []
  const forget = onAbort(controller.signal, () => calls.push('gone'))
  onAbort(controller.signal, () => {
    calls.push('first')
    forgetLast()
  })
  const forgetLast = onAbort(controller.signal, () => calls.push('last'))
  forget()
  forget()
  controller.abort()
  expect(calls).toEqual(['first'])
})

test('the same callback given twice is called twice, and forgotten one by one', () => {
  const controller = new AbortController()
  const callback = vi.fn()
  onAbort(controller.signal, callback)
  onAbort(controller.signal, callback)
  onAbort(controller.signal, callback)()
  controller.abort()
  expect(callback).toHaveBeenCalledTimes(2)
})

test('nothing happens without a signal, or with one that is aborted already', () => {
  const callback = vi.fn()
  onAbort(undefined, callback)()
  onAbort(AbortSignal.abort(), callback)()
  expect(callback).not.toHaveBeenCalled()
})

test('a signal has one listener while somebody waits, and none when nobody does', () => {
  const { signal } = new AbortController()
  const add = vi.spyOn(signal, 'addEventListener')
  const remove = vi.spyOn(signal, 'removeEventListener')
  const forgets = Array.from({ length: 100 }, () => onAbort(signal, () => undefined))
  expect(add).toHaveBeenCalledTimes(1)
  for (const forget of forgets) forget()
  expect(remove).toHaveBeenCalledTimes(1)
  onAbort(signal, () => undefined)()
  expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([2, 2])
})
