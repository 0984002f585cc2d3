import { describe, expect, test } from 'vitest'
import { hostCases } from '../../src/conformance/index.ts'
import { ConformanceFailure } from '../../src/conformance/suite.ts'
import { localHost } from '../../src/hosts/local/index.ts'
import { hostSetup } from './mutants/hosts.ts'

describe('localHost', () => {
  for (const { name, run } of hostCases(() => hostSetup(localHost()))) test.concurrent(name, run)
})

test('a case fails with what it expected and what it found', async () => {
  const sound = localHost()
  const host = {
    ...sound,
    exec: async (...given: Parameters<typeof sound.exec>) => ({ ...(await sound.exec(...given)), exitCode: 3 }),
  }
  const [first] = hostCases(() => hostSetup(host))
  await expect(first?.run()).rejects.toThrow(ConformanceFailure)
  await expect(first?.run()).rejects.toThrow('expected 0, found 3')
})
