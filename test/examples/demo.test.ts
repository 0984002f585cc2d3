import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { runProgram } from './programs.ts'

const cwd = fileURLToPath(new URL('../../', import.meta.url))
const minute = 60_000

describe('the demo, piped', () => {
  test(
    'shows and proves what this user and this machine allow, in plain lines, and leaves nothing behind',
    async () => {
      const { code, output, left } = await runProgram('examples/demo.ts', { cwd })
      expect({ code, left }, output).toEqual({ code: 0, left: [] })
      expect(['\x1b', '\r', '\x07'].filter((control) => output.includes(control))).toEqual([])
      expect(output).toMatch(/^ +user +\S/m)
      expect(output).toMatch(/^== ext4$/m)
      expect(output).toMatch(/^== XFS$/m)
      expect(output).toMatch(/ proofs +[1-9]\d* passed, 0 failed/)
    },
    2 * minute,
  )

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s in the middle: it cleans up',
    async (signal, expected) => {
      let sent = false
      const { code, output, left } = await runProgram('examples/demo.ts', {
        cwd,
        onOutput(text, kill) {
          if (sent || !/^ +data /m.test(text)) return
          sent = true
          kill(signal)
        },
      })
      expect({ sent, code, left }, output).toEqual({ sent: true, code: expected, left: [] })
      expect(output).toContain(`${signal}: cleaning up`)
    },
    minute,
  )
})
