import { commandClient } from '../../../providers/rbd/commands.ts'
import { rbdExpander } from '../../../providers/rbd/expander.ts'
import { type Volume, volumeOf } from '../../../src/expander.ts'
import { GiB, MiB } from '../../../src/size.ts'
import { type CommandAnswer, type CommandService, wiredHost } from '../command.ts'
import { commandFaults } from '../fault.ts'
import type { Subject } from '../world.ts'

let names = 0

/** The commands `rbd` and `ceph`: a resize is done when the command ends, and refuses what is not more than there is (exit code 22). */
export const rbd: Subject = {
  name: 'rbd',
  kinds: commandFaults,
  first: GiB,
  targets: [2n * GiB, 3n * GiB],
  ...{ absolute: true, shared: true, rest: 60_000 },
  make(wire, { own }) {
    let size = GiB as bigint
    const growths: bigint[] = []
    const resize = (argv: readonly string[]): CommandAnswer => {
      const wanted =
        BigInt(/^--size=(\d+)M$/.exec(argv.find((word) => word.startsWith('--size=')) ?? '')?.[1] ?? '0') * MiB
      if (wanted <= size)
        return {
          exitCode: 22,
          stdout: '',
          stderr: 'rbd: shrinking an image is only allowed with the --allow-shrink flag',
        }
      size = wanted
      growths.push(size)
      return said('')
    }
    const service: CommandService = {
      operation: (argv) => (argv[0] === 'ceph' ? 'ceph' : `rbd ${commandOf(argv)}`),
      mutates: (argv) => commandOf(argv) === 'resize',
      run(argv) {
        if (argv[0] === 'ceph') return said(capacity)
        switch (commandOf(argv)) {
          case 'info':
            return said(
              JSON.stringify({
                name: 'a',
                id: '1039',
                size: Number(size),
                object_size: 4194304,
                features: ['layering'],
              }),
            )
          case 'status':
            return said('{"watchers":[]}')
          default:
            return resize(argv)
        }
      },
    }
    const volumes = new Map<number, Volume>()
    return {
      size: () => size,
      growths,
      accepted: () => growths.length,
      volume(process) {
        const known = volumes.get(process)
        if (known !== undefined) return known
        names += 1
        const host = wiredHost(wire, `ceph-${names}`, service)
        const made = volumeOf(rbdExpander(commandClient({ host }, () => own.now())), 'volumes/a')
        volumes.set(process, made)
        return made
      },
      grow(to) {
        if (to > size) size = to
      },
    }
  },
}

function commandOf(argv: readonly string[]): string {
  return argv.find((word) => word === 'info' || word === 'status' || word === 'resize') ?? '?'
}

function said(stdout: string): CommandAnswer {
  return { exitCode: 0, stdout, stderr: '' }
}

const capacity = [
  '{"pools":[{"name":"volumes","stats":{"stored":1073741824,"max_avail":107374182400,"quota_bytes":0}}]}',
  '{"status":"HEALTH_OK","checks":{}}',
  '{"fsid":"5be1c15c-1639-4716-b8b3-c1e835036dd0"}',
].join('\n')
