import type { FileClient, FileFacts } from '../../../providers/file/client.ts'
import { fileExpander } from '../../../providers/file/expander.ts'
import { type Volume, volumeOf } from '../../../src/expander.ts'
import { GiB } from '../../../src/size.ts'
import { fileFaults } from '../fault.ts'
import type { Wire } from '../wire.ts'
import type { Subject } from '../world.ts'

let names = 0

/** A file of a made-up system: the provider's calls of the operating system, with its errors. */
export const file: Subject = {
  name: 'file',
  kinds: fileFaults,
  first: GiB,
  targets: [2n * GiB, 3n * GiB],
  ...{ absolute: true, shared: true, rest: 1000 },
  make(wire) {
    names += 1
    // One name in every process, which makes their looks one: a file belongs to a machine.
    const path = `/srv/disk-${names}.img`
    let size = GiB as bigint
    const growths: bigint[] = []
    const facts = (): FileFacts => ({ type: 'file', dev: 1n, ino: 2n, size, allocated: 0n })
    const client = (path: string): FileClient => ({
      canonical: () => path,
      stat: () => called(wire, 'stat', false, facts),
      filesystem: () =>
        called(wire, 'statfs', false, () => ({ type: 0xef53n, blockSize: 4096n, available: 1n << 40n })),
      loops: async () => [],
      processLimit: async () => undefined,
      extend: (_path, wanted, before) =>
        called(
          wire,
          'extend',
          true,
          () => {
            before()
            if (wanted > size) {
              size = wanted
              growths.push(size)
            }
            return { type: 'file', size }
          },
          (unsure) => ({ type: 'file', size, unsure }),
        ),
    })
    const volumes = new Map<number, Volume>()
    return {
      size: () => size,
      growths,
      accepted: () => growths.length,
      volume(process) {
        const known = volumes.get(process)
        if (known !== undefined) return known
        const made = volumeOf(fileExpander(client(path)), path)
        volumes.set(process, made)
        return made
      },
      grow(to) {
        if (to > size) size = to
      },
    }
  },
}

async function called<Answer>(
  wire: Wire,
  operation: string,
  mutates: boolean,
  call: () => Answer,
  unsure: (error: Error) => Answer | undefined = () => undefined,
): Promise<Answer> {
  const exchange = wire.begin(operation, mutates)
  await wire.clock.sleep(1)
  const { fault } = exchange
  const earlier = wire.earlier<Answer>(operation)
  const ask = async (): Promise<Answer> => {
    const answer = await wire.serve(exchange, call)
    wire.remember(operation, answer)
    exchange.answer = 'done'
    return answer
  }
  if (fault === undefined || (fault.name === 'stale' && earlier === undefined)) {
    exchange.fault = undefined
    return await ask()
  }
  if (fault.name === 'stale' && earlier !== undefined) return earlier
  const error = Object.assign(new Error(fault.name), { code: fault.name })
  exchange.answer = fault.name
  if (fault.moment === 'after') {
    await ask()
    // A file that could not be made durable: the provider's port says so in its own way.
    const answer = unsure(error)
    if (answer !== undefined) return answer
  }
  throw error
}
