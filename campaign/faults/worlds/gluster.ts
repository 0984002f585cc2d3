import { glusterfs } from '../../../providers/glusterfs/index.ts'
import type { Volume } from '../../../src/expander.ts'
import { GiB } from '../../../src/size.ts'
import { SimulatedPool, type SimulatedVolume } from '../../../test/providers/glusterfs/simulated-pool.ts'
import { type CommandService, wiredHost } from '../command.ts'
import { commandFaults } from '../fault.ts'
import type { Subject } from '../world.ts'

let names = 0

/** `gluster` on a server of a pool, which grows by new bricks: a brick is in one volume once, but whoever sees too few bricks gives others. */
export const gluster: Subject = {
  name: 'glusterfs',
  kinds: commandFaults,
  first: 10n * GiB,
  targets: [20n * GiB, 30n * GiB],
  ...{ absolute: false, shared: false, rest: 60_000 },
  make(wire) {
    const pool = new SimulatedPool()
    const volume: SimulatedVolume = {
      ...{ name: 'v', id: '4d8f02b9-b767-439e-9600-1456fc75d7fe', replica: 1 },
      bricks: [{ name: 's:/b/0', total: 10n * GiB }],
    }
    pool.volumes.set('v', volume)
    const size = (): bigint => volume.bricks.reduce((sum, { total }) => sum + total, 0n)
    const growths: bigint[] = []
    const service: CommandService = {
      operation: (argv) => argv.filter((word) => !/^-|^s:|^v$|^trusted|^\//.test(word)).join(' '),
      mutates: (argv) => argv.includes('add-brick') || argv.includes('setfattr'),
      async run(argv) {
        const known = argv.includes('add-brick') && argv.some((word) => volume.bricks.some(({ name }) => name === word))
        if (known) return { exitCode: 0, stdout: alreadyThere, stderr: '' }
        const bricks = volume.bricks.length
        const { exitCode = 0, stdout, stderr } = await pool.host.exec(argv)
        if (volume.bricks.length > bricks) growths.push(size())
        return { exitCode, stdout, stderr }
      },
      async look(item) {
        const [result] = await pool.host.batch([item])
        return result as never
      },
    }
    const volumes = new Map<number, Volume>()
    return {
      size,
      growths,
      accepted: () => growths.length,
      volume(process) {
        const known = volumes.get(process)
        if (known !== undefined) return known
        names += 1
        const host = wiredHost(wire, `gluster-${names}`, service)
        const made = glusterfs({ host, hosts: { s: host } }).volume('v', {
          // The next directory that is no brick yet, as large as it has to be.
          async bricks({ brickSize }) {
            const path = `/b/${volume.bricks.length}`
            pool.rooms.set(path, brickSize)
            return [`s:${path}`]
          },
        })
        volumes.set(process, made)
        return made
      },
      grow(to) {
        const missing = to - size()
        if (missing > 0n) volume.bricks.push({ name: `s:/b/${volume.bricks.length}`, total: missing })
      },
    }
  },
}

const alreadyThere =
  '<?xml version="1.0"?><cliOutput><opRet>-1</opRet><opErrno>30800</opErrno><opErrstr>Brick is already part of a volume</opErrstr></cliOutput>'
