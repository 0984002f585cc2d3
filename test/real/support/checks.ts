import { expect } from 'vitest'
import { attempt } from './commands.ts'

/** That the unmounted filesystem on a device or image is without a fault, by the tool of its own kind. */
export function expectSound(device: string, family: 'ext' | 'xfs'): void {
  const [program, ...args] = family === 'ext' ? ['e2fsck', '-f', '-n'] : ['xfs_repair', '-n', '-f']
  const { code, said } = attempt(program ?? '', ...args, device)
  expect({ code, said }).toMatchObject({ code: 0 })
}
