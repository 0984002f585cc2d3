import type { VolumeExpander } from '../../src/expander.ts'
import type { BatchItem, Host } from '../../src/hosts/host.ts'

/** Stands around each call by which the library looks at the world or changes it: between two of them nothing happens outside of its process. */
export type Around = <Value>(call: string, make: () => Promise<Value>) => Promise<Value>

export function hostWithin(host: Host, around: Around): Host {
  return {
    ...host,
    exec: (argv, options) => around(programOf(argv), () => host.exec(argv, options)),
    batch: <const Items extends readonly BatchItem[]>(items: Items, options?: Parameters<Host['batch']>[1]) => {
      const programs = items.flatMap((item) => ('exec' in item ? [programOf(item.exec)] : []))
      return around(programs.length === 0 ? 'look' : programs.join(' and '), () => host.batch(items, options))
    },
  }
}

export function expanderWithin<Ref, Options>(
  expander: VolumeExpander<Ref, Options>,
  around: Around,
): VolumeExpander<Ref, Options> {
  return {
    ...expander,
    read: (refs, options) => around('read the volume', () => expander.read(refs, options)),
    expand: (ref, options) => around('expand the volume', () => expander.expand(ref, options)),
  }
}

function programOf([program = '']: readonly string[]): string {
  return program.split('/').at(-1) ?? program
}
