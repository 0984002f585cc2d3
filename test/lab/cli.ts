import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bytes, formatSize, parseSize } from '../../src/size.ts'
import { CephLab } from './ceph/ceph.ts'
import { CinderLab } from './cinder/cinder.ts'
import { type LoopBrick, Pool, poolOf, removePool } from './gluster/pool.ts'
import { partName as glusterPart } from './gluster/server.ts'
import { Cluster, partName as clusterName } from './kubernetes/cluster.ts'
import { Guest, partName, resize, sizeOf } from './node/guest.ts'
import { stopPart } from './part.ts'
import { labDirectory, Register } from './register.ts'
import { runInUml } from './uml.ts'

const usage = `The lab starts and stops the real parts that tests run against.

  npm run lab -- uml [options] -- COMMAND [ARGUMENT…]   runs a command on a kernel of its own, with this host's files read-only
      --writable DIRECTORY    lets it write there; may be repeated
      --timeout SECONDS       for the command; 600 unless said
      --memory MIB            of the guest; 3072 unless said
  npm run lab -- up node                                boots a Debian machine with disks that can be grown, and says how to reach it
      --memory MIB            of the guest; 768 unless said
  npm run lab -- up ceph                                starts a cluster of Ceph with one of each daemon, and says how to reach it
  npm run lab -- up cinder                              starts Keystone and Cinder, also on a Ceph that is up, and says how to reach them
  npm run lab -- up gluster                             starts a GlusterFS pool of three servers with a replica, and mounts it
  npm run lab -- up kubernetes                          starts etcd, kube-apiserver and kube-controller-manager, found by KUBEBUILDER_ASSETS, and says how to reach them
  npm run lab -- disk NAME SIZE                         grows a disk of the node, or plugs in an empty one; SIZE as in 2Gi
      --bus virtio|scsi       for a new one; virtio unless said
  npm run lab -- status                                 what runs, and on which ports
  npm run lab -- down [NAME…]                           ends everything that the lab started, also from other checkouts, or the parts of these names
`

async function uml(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      writable: { type: 'string', multiple: true },
      timeout: { type: 'string', default: '600' },
      memory: { type: 'string', default: '3072' },
    },
  })
  if (positionals.length === 0) throw new Error('Which command? It stands after `--`.')
  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => interruption.abort(new Error(`Ended by ${signal}.`)))
  }
  const inherited = ['CI', 'NO_COLOR', 'FORCE_COLOR'].flatMap((name): [string, string][] => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value]]
  })
  const result = await runInUml({
    argv: positionals,
    cwd: process.cwd(),
    env: Object.fromEntries(inherited),
    timeout: positive('timeout', values.timeout) * 1000,
    memory: positive('memory', values.memory),
    writable: values.writable ?? [],
    stdout: process.stdout,
    stderr: process.stderr,
    signal: interruption.signal,
  })
  return result.exitCode
}

async function up(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { memory: { type: 'string', default: '768' } },
  })
  const [name, ...others] = positionals
  const start = name === undefined || others.length > 0 ? undefined : starters[name]
  if (start === undefined) throw new Error(`Which part? There are: ${Object.keys(starters).join(', ')}`)
  return start(positive('memory', values.memory))
}

const starters: Readonly<Record<string, (memory: number) => Promise<number>>> = {
  [partName]: upNode,
  ceph: upCeph,
  cinder: upCinder,
  [glusterPart]: upGluster,
  [clusterName]: upCluster,
}

async function upNode(memory: number): Promise<number> {
  const { part } = await Guest.start({ memory, lasting: true })
  console.log(`The node is up (pid ${part.pid}). As root, admin (sudo without a password), deputy or visitor:
  ssh -F ${join(part.directory, 'ssh_config')} node
Its console is ${join(part.directory, 'console')}. It and its disks are gone after: npm run lab -- down node`)
  return 0
}

async function upCeph(): Promise<number> {
  const { conf, dashboard } = await CephLab.start({ lasting: true })
  console.log(`Ceph is up. Its commands, as client.admin, client.cinder or client.reader:
  rbd -c ${conf} --id cinder ls volumes
Its dashboard is ${dashboard.url}, user ${dashboard.username}, password ${dashboard.password}. It is gone after: npm run lab -- down ceph`)
  return 0
}

async function upCinder(): Promise<number> {
  const ceph = (await CephLab.find()).find(({ owner }) => owner === undefined)
  const lab = await CinderLab.start({ lasting: true, ...(ceph === undefined ? {} : { ceph }) })
  const { credentials } = await lab.project()
  const { authUrl, username, password, projectName } = credentials
  console.log(`Cinder is up, with the backends ${lab.backends.join(' and ')}. As a member of a project, without Nova:
  export OS_AUTH_URL=${authUrl} OS_USERNAME=${username} OS_PASSWORD=${password} OS_PROJECT_NAME=${projectName} \\
    OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default OS_IDENTITY_API_VERSION=3
  openstack volume create --size 1 data
The administrator is admin with the password ${lab.admin.credentials.password}. It is gone after: npm run lab -- down cinder`)
  return 0
}

async function upGluster(): Promise<number> {
  const pool = await Pool.start(3)
  try {
    const bricks: LoopBrick[] = []
    for (const { index } of pool.servers) bricks.push(await pool.brick(index, 'brick-1', 400))
    await pool.volume('replica', ['replica', '3'], bricks)
    const path = await pool.mount('replica')
    console.log(`A pool of ${pool.servers.map(({ address }) => address).join(', ')} is up; the volume "replica" is mounted at ${path}
  gluster --glusterd-sock=${pool.socket()} volume info
It is gone after: npm run lab -- down gluster`)
    pool.release()
    return 0
  } catch (error) {
    await pool.stop()
    throw error
  }
}

async function upCluster(): Promise<number> {
  const cluster = await Cluster.start()
  cluster.release()
  console.log(`The cluster is up at ${cluster.server}. As its administrator:
  KUBECONFIG=${cluster.kubeconfig}
It has no nodes: pods never run in it. It is gone after: npm run lab -- down kubernetes`)
  return 0
}

async function disk(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { bus: { type: 'string', default: 'virtio' } },
  })
  const [name, size] = positionals
  const { bus } = values
  if (name === undefined || size === undefined) throw new Error('Which disk, and how large?')
  if (bus !== 'virtio' && bus !== 'scsi') throw new Error(`--bus is virtio or scsi, not ${bus}`)
  const part = (await new Register().living()).find((candidate) => candidate.name === partName)
  if (part === undefined) throw new Error('No node runs; this starts one: npm run lab -- up node')
  const guest = Guest.of(part)
  const known = guest.disk(name)
  const before = await sizeOf(known).catch(() => undefined)
  const wanted = parseSize(size)
  if (before === undefined) await guest.plug({ name, serial: name, bus, size: wanted })
  else if (before < wanted) await resize(known, wanted)
  else throw new Error(`${name} has ${formatSize(bytes(before))} already; a disk is only made larger.`)
  console.log(`${name} ${before === undefined ? 'is plugged in with' : 'has grown to'} ${formatSize(wanted)}`)
  return 0
}

async function status(): Promise<number> {
  const parts = await new Register().living()
  console.log(parts.length === 0 ? `Nothing runs. The lab's directory is ${labDirectory()}` : 'These parts run:')
  for (const { name, pid, ports, directory } of parts) {
    const taken = Object.entries(ports).map(([purpose, port]) => `${purpose} 127.0.0.1:${port}`)
    console.log([name, `pid ${pid}`, ...taken, directory].join('  '))
  }
  return 0
}

async function down(names: string[]): Promise<number> {
  // What the servers of a pool share goes when all of them have ended.
  const pools = new Set<string>()
  for (const part of await new Register().living()) {
    if (names.length > 0 && !names.some((name) => part.name === name || part.name.startsWith(`${name}-`))) continue
    console.log(`Ending ${part.name} (pid ${part.pid})`)
    const pool = part.name === glusterPart ? await poolOf(part) : undefined
    if (pool !== undefined) pools.add(pool)
    await stopPart(part)
  }
  for (const pool of pools) await removePool(pool)
  return 0
}

function positive(option: string, text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Error(`--${option} takes a whole number above zero, not ${text}`)
  return Number(text)
}

async function main([command, ...args]: string[]): Promise<number> {
  switch (command) {
    case 'uml':
      return uml(args)
    case 'up':
      return up(args)
    case 'disk':
      return disk(args)
    case 'status':
      return status()
    case 'down':
      return down(args)
    default:
      console.error(usage)
      return command === undefined || command === 'help' ? 0 : 2
  }
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
