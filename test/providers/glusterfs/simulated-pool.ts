import type { BatchItem, BatchResult, BatchResults, ExecResult, Host } from '../../../src/hosts/host.ts'

/** A brick of the simulated pool; sizes are bytes. */
export interface SimulatedBrick {
  readonly name: string
  total: bigint
  readonly device?: string
  readonly arbiter?: boolean
  online?: boolean
  /** Its server is away: nobody tells its size. */
  silent?: boolean
}

export interface SimulatedVolume {
  readonly name: string
  readonly id: string
  replica: number
  arbiters?: number
  disperse?: number
  redundancy?: number
  started?: boolean
  options?: Record<string, string>
  bricks: SimulatedBrick[]
}

/** What the `gluster` command on one server of a pool answers, in memory: enough of its XML for the provider. */
export class SimulatedPool {
  readonly volumes: Map<string, SimulatedVolume> = new Map()
  /** Commands that change something, in order. */
  readonly changes: string[][] = []
  /** Servers that are not connected. */
  readonly away: Set<string> = new Set()
  /** Bytes of filesystems of directories that are no bricks yet. */
  readonly rooms: Map<string, bigint> = new Map()
  /** Answers before the usual ones. */
  intercept: ((argv: readonly string[]) => string | Partial<ExecResult> | undefined) | undefined
  /** Looks at a rebalance until it is completed. */
  rebalanceLooks = 2
  readonly #rebalances = new Map<string, number>()

  readonly host: Host = {
    id: 'gluster-1',
    exec: async (argv) => this.#run(argv),
    batch: async <const Items extends readonly BatchItem[]>(items: Items) => {
      const results = items.map(
        (item): BatchResult<BatchItem> => ('exec' in item ? this.#run(item.exec) : this.#look(item)),
      )
      return results as unknown as BatchResults<Items>
    },
  }

  #look(item: Exclude<BatchItem, { exec: readonly string[] }>): BatchResult<BatchItem> {
    if (!('read' in item) || !('path' in item)) throw new TypeError('Not simulated.')
    const room = this.rooms.get(item.path)
    if (room === undefined) return { ok: false, errno: 'ENOENT', message: 'no such file' }
    if (item.read === 'statfs')
      return { ok: true, value: { type: 1n, blockSize: 4096n, blocks: room / 4096n, free: 0n, available: 0n } }
    const value = {
      type: 'directory',
      dev: item.path,
      rdev: '0:0',
      ino: 1n,
      size: 0n,
      mode: 0o755,
      uid: 0,
      realpath: item.path,
    }
    return { ok: true, value } as never
  }

  #run(argv: readonly string[]): ExecResult {
    const base = { argv, ended: 'exited', ok: true, exitCode: 0, stdout: '', stderr: '', milliseconds: 1 } as const
    if (argv[0] !== 'gluster') return { ...base, ok: false, exitCode: 1 }
    const command = argv.slice(1).filter((word) => !word.startsWith('--'))
    const given = this.intercept?.(command)
    if (typeof given === 'object') return { ...base, ...given }
    return { ...base, stdout: given ?? this.#answer(command) }
  }

  #answer(command: readonly string[]): string {
    const [noun, verb, name = ''] = command
    if (noun === 'pool') return this.#pool()
    const volume = this.volumes.get(verb === 'info' || verb === 'status' ? name : (command[2] ?? ''))
    if (volume === undefined) return failed(verb === 'info' ? 30806 : 30800, `Volume ${name} does not exist`)
    if (verb === 'info') return info(volume)
    if (verb === 'status')
      return volume.started === false ? failed(30800, `Volume ${name} is not started`) : this.#detail(volume)
    if (verb === 'rebalance') return command[3] === 'start' ? this.#start(command, name) : this.#status(name)
    if (verb === 'quota') return failed(0, `No quota configured on volume ${name}`)
    return this.#add(command, volume)
  }

  #pool(): string {
    const servers = [...new Set([...this.volumes.values()].flatMap(({ bricks }) => bricks.map(serverOf)))]
    const peers = servers.map(
      (server) =>
        `<peer><uuid>${uuidOf(server)}</uuid><hostname>${server}</hostname><hostnames><hostname>${server}</hostname></hostnames><connected>${this.away.has(server) ? 0 : 1}</connected></peer>`,
    )
    const own = '<peer><uuid>own</uuid><hostname>localhost</hostname><connected>1</connected></peer>'
    return done(`<peerStatus>${peers.join('')}${own}</peerStatus>`)
  }

  #detail({ name, bricks }: SimulatedVolume): string {
    const nodes = bricks
      .filter((brick) => brick.silent !== true && !this.away.has(serverOf(brick)))
      .map(
        (brick) =>
          `<node><hostname>${serverOf(brick)}</hostname><path>${pathOf(brick)}</path><peerid>${uuidOf(serverOf(brick))}</peerid><status>${brick.online === false ? 0 : 1}</status><sizeTotal>${brick.total}</sizeTotal><sizeFree>${brick.total / 2n}</sizeFree><device>${brick.device ?? `/dev/${brick.name.replace(/\W/g, '_')}`}</device></node>`,
      )
    return done(
      `<volStatus><volumes><volume><volName>${name}</volName>${nodes.join('')}</volume></volumes></volStatus>`,
    )
  }

  #start(command: readonly string[], name: string): string {
    this.changes.push([...command])
    this.#rebalances.set(name, this.rebalanceLooks)
    return done('<volRebalance><op>1</op></volRebalance>')
  }

  #status(name: string): string {
    const left = this.#rebalances.get(name)
    if (left === undefined) return failed(30800, `Rebalance not started for volume ${name}.`)
    this.#rebalances.set(name, Math.max(0, left - 1))
    const [status, words] = left > 0 ? [1, 'in progress'] : [3, 'completed']
    const state = `<files>3</files><failures>0</failures><skipped>0</skipped><status>${status}</status><statusStr>${words}</statusStr>`
    return done(
      `<volRebalance><node>${state}</node><node>${state}</node><aggregate>${state}</aggregate></volRebalance>`,
    )
  }

  #add(command: readonly string[], volume: SimulatedVolume): string {
    const names = command.slice(3).filter((word) => word !== 'force')
    const away = names.find((name) => this.away.has(name.split(':')[0] ?? ''))
    if (away !== undefined) return failed(30800, `Host ${away.split(':')[0]} not connected`)
    this.changes.push([...command])
    for (const name of names) volume.bricks.push({ name, total: this.rooms.get(pathOf({ name })) ?? 0n })
    return done('<cliOp>volAddBrick</cliOp><output>Add Brick successful</output>')
  }
}

export function serverOf({ name }: { readonly name: string }): string {
  return name.slice(0, name.indexOf(':/'))
}

function pathOf({ name }: { readonly name: string }): string {
  return name.slice(name.indexOf(':/') + 1)
}

function uuidOf(server: string): string {
  return `uuid-of-${server}`
}

function done(content: string): string {
  return `<?xml version="1.0"?><cliOutput><opRet>0</opRet><opErrno>0</opErrno><opErrstr/>${content}</cliOutput>`
}

export function failed(errno: number, text: string): string {
  return `<?xml version="1.0"?><cliOutput><opRet>-1</opRet><opErrno>${errno}</opErrno><opErrstr>${text}</opErrstr></cliOutput>`
}

function info(volume: SimulatedVolume): string {
  const { name, id, bricks, replica, arbiters = 0, disperse = 0, redundancy = 0, started = true, options = {} } = volume
  const list = bricks.map(
    (brick) =>
      `<brick uuid="x">${brick.name}<name>${brick.name}</name><hostUuid>${uuidOf(serverOf(brick))}</hostUuid><isArbiter>${brick.arbiter === true ? 1 : 0}</isArbiter></brick>`,
  )
  const set = Object.entries(options).map(
    ([key, value]) => `<option><name>${key}</name><value>${value}</value></option>`,
  )
  return done(
    `<volInfo><volumes><volume><name>${name}</name><id>${id}</id><status>${started ? 1 : 2}</status><statusStr>${started ? 'Started' : 'Stopped'}</statusStr><brickCount>${bricks.length}</brickCount><replicaCount>${replica}</replicaCount><arbiterCount>${arbiters}</arbiterCount><disperseCount>${disperse}</disperseCount><redundancyCount>${redundancy}</redundancyCount><bricks>${list.join('')}</bricks><options>${set.join('')}</options></volume></volumes></volInfo>`,
  )
}
