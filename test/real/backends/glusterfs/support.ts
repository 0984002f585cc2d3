import { statfsSync } from 'node:fs'
import { file } from '../../../../providers/file/index.ts'
import type { GlusterOptions } from '../../../../providers/glusterfs/index.ts'
import { type Host, localHost, type Volume } from '../../../../src/index.ts'
import { MiB } from '../../../../src/size.ts'
import type { LoopBrick, Pool } from '../../../lab/gluster/pool.ts'

export { MiB }

/** This machine, with the log of the gluster command where the pool is. */
export function hostOf(pool: Pool): Host {
  const host = localHost()
  const own = (argv: readonly string[]): readonly string[] =>
    argv[0] === 'gluster' ? ['gluster', `--log-file=${pool.logFile()}`, ...argv.slice(1)] : argv
  return {
    id: host.id,
    exec: (argv, options) => host.exec(own(argv), options),
    batch: (items, options) =>
      host.batch(
        items.map((item) => ('exec' in item ? { ...item, exec: own(item.exec) } : item)),
        options,
      ) as never,
  }
}

/** The pool, with this machine as each of its servers. */
export function optionsOf(pool: Pool): GlusterOptions {
  const host = hostOf(pool)
  return { host, socket: pool.socket(), hosts: Object.fromEntries(pool.servers.map(({ address }) => [address, host])) }
}

/** The file below each brick as its volume. */
export function volumesBelow(bricks: readonly LoopBrick[]): Record<string, Volume> {
  return Object.fromEntries(bricks.map(({ name, image }) => [name, file().volume(image)]))
}

/** Bytes that users of a path see. */
export function shownAt(path: string): bigint {
  const { blocks, bsize } = statfsSync(path, { bigint: true })
  return blocks * bsize
}
