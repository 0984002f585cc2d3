import { expect } from 'vitest'
import type { GuestShell } from '../../../lab/node/shell.ts'

/** SHA-256 sums as sha256sum writes and checks them. */
export type GuestContent = string

const make = `cd "$1" && mkdir -p 'a/deep directory' && for size in 0 11 4096 100001 3000000; do head -c "$size" /dev/urandom >"a/deep directory/$size" || exit; done
sync -f . && find . -type f -exec sha256sum {} +`

/** Writes files of several sizes. */
export function writeGuestContent(shell: GuestShell, directory: string): Promise<GuestContent> {
  return shell.run('sh', '-c', make, 'make', directory)
}

/** That they are as they were written, read from the disk again. */
export async function expectGuestContent(shell: GuestShell, directory: string, content: GuestContent): Promise<void> {
  await shell.write('/proc/sys/vm/drop_caches', '3')
  const checked = await shell.attempt(
    ['sh', '-c', 'cd "$1" && sha256sum --check --strict --quiet', 'check', directory],
    `${content}\n`,
  )
  expect(checked).toMatchObject({ code: 0 })
}
