import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { DeviceSnapshot, StorageSnapshot, StorageTarget } from '../../../src/hosts/host.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import { bytesAt } from '../../../src/layers/probe.ts'

// What only a kernel can show: loop devices, mounts, control groups. As root.

const host = localHost()
let directory = ''
let cleanups: (() => void)[] = []

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'real-host-'))
})

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) cleanup()
  cleanups = []
  fs.rmSync(directory, { recursive: true, force: true })
})

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

function newImage(name = 'disk.img', size = 320 * 2 ** 20): string {
  const image = join(directory, name)
  fs.writeFileSync(image, '')
  fs.truncateSync(image, size)
  return image
}

/** Loop devices are few and shared: another program may have them all for a moment. */
async function attach(image: string, ...options: readonly string[]): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    try {
      const device = run('losetup', '--find', '--show', ...options, image)
      cleanups.push(() => run('losetup', '--detach', device))
      return device
    } catch (error) {
      if (tries > 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

function mount(device: string, name = 'mounted'): string {
  const point = join(directory, name)
  fs.mkdirSync(point, { recursive: true })
  run('mount', device, point)
  cleanups.push(() => run('umount', point))
  return point
}

function begin(command: string, ...args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] })
  cleanups.push(() => child.kill('SIGKILL'))
  return child
}

function firstOutput(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => child.stdout?.once('data', (chunk) => resolve(`${chunk}`.trim())))
}

async function storage(at: StorageTarget): Promise<StorageSnapshot> {
  const [result] = await host.batch([{ read: 'storage', at }])
  if (!result.ok) throw new Error(`${result.errno}: ${result.message}`)
  return result.value
}

async function only(at: StorageTarget): Promise<DeviceSnapshot> {
  const { found, devices } = await storage(at)
  expect(found).toHaveLength(1)
  const device = devices.find(({ id }) => id === found[0])
  if (device === undefined) throw new Error('the found device is not among the devices')
  return device
}

function idOf(device: string): string {
  return fs.readFileSync(`/sys/block/${basename(device)}/dev`, 'utf8').trim()
}

describe('a mounted loop device', () => {
  test('is read by a path on it, with everything that is below', async () => {
    const image = newImage("disk $(x) 'y'\nz.img")
    run('mkfs.xfs', '-q', image)
    const loop = await attach(image)
    const point = mount(loop, "mounted at\t\\ here $(x)\nand 'there'")
    fs.mkdirSync(join(point, 'deep'))
    fs.symlinkSync(join(point, 'deep'), join(directory, 'link'))

    const snapshot = await storage({ path: join(directory, 'link') })
    const [device] = snapshot.devices
    expect(snapshot.found).toEqual([idOf(loop)])
    expect(snapshot.devices).toHaveLength(1)
    expect(snapshot.mount).toMatchObject({ mountPoint: point, dev: idOf(loop), root: '/', type: 'xfs', source: loop })
    expect(snapshot.mount?.options).toContain('rw')
    expect(snapshot.system).toMatchObject({
      uid: 0,
      kernel: run('uname', '-r'),
      pageSize: Number(run('getconf', 'PAGESIZE')),
    })
    expect(snapshot.system.capabilities).toBeGreaterThan(0n)

    expect(device).toMatchObject({
      ...{ kind: 'block', path: loop, name: basename(loop), size: 320n * 2n ** 20n, readOnly: false },
      ...{ below: [], holders: [], partitions: [], locks: [] },
    })
    expect(device?.attributes).toMatchObject({
      'loop/backing_file': image,
      'loop/offset': '0',
      'queue/logical_block_size': '512',
      diskseq: fs.readFileSync(`/sys/block/${basename(loop)}/diskseq`, 'utf8').trim(),
    })
    expect(device?.users).toBeUndefined()
    if (device === undefined) throw new Error('no device')
    expect(Buffer.from(bytesAt(device, 0, 4) ?? []).toString()).toBe('XFSB')
    const sizes = fs.statfsSync(point, { bigint: true })
    expect(device.mounts).toHaveLength(1)
    expect(device.mounts[0]?.statfs).toMatchObject({
      ok: true,
      value: { blocks: sizes.blocks, blockSize: sizes.bsize },
    })
  })

  test('is found by its node, by its image and by the hint of its image, also after a detour', async () => {
    const image = newImage()
    run('mkfs.xfs', '-q', image)
    const loop = await attach(image)
    const point = mount(loop)
    fs.symlinkSync(loop, join(directory, 'node'))
    fs.symlinkSync(image, join(directory, 'image'))
    for (const at of [
      { device: loop },
      { device: join(directory, 'node') },
      { device: image },
      { image: join(directory, 'image') },
      { hints: { image } },
      { hints: { image, path: loop } },
    ]) {
      expect((await only(at)).mounts.map(({ mountPoint }) => mountPoint)).toEqual([point])
    }
    expect((await storage({ hints: { image, serial: 'another' } })).found).toEqual([])
    expect((await storage({ hints: { image, path: '/dev/null' } })).found).toEqual([])
  })

  test('all loop devices over an image are found', async () => {
    const image = newImage()
    const loops = [await attach(image), await attach(image, '--read-only')]
    const { found, devices } = await storage({ image })
    expect([...found].sort()).toEqual(loops.map(idOf).sort())
    expect(devices.map(({ readOnly }) => readOnly).sort()).toEqual([false, true])
  })

  test('a mount that another one covers gives neither its sizes nor its place', async () => {
    const [below, above] = [newImage('below.img'), newImage('above.img', 400 * 2 ** 20)]
    for (const image of [below, above]) run('mkfs.xfs', '-q', image)
    const [lower, upper] = [await attach(below), await attach(above)]
    const point = mount(lower)
    mount(upper)
    expect((await storage({ path: point })).found).toEqual([idOf(upper)])
    const covered = await only({ device: lower })
    expect(covered.mounts).toHaveLength(1)
    expect(covered.mounts[0]?.statfs).toMatchObject({ ok: false, errno: 'ENOENT' })

    const bound = join(directory, 'bound')
    fs.mkdirSync(bound)
    run('mount', '--bind', point, bound)
    cleanups.push(() => run('umount', bound))
    const sizes = fs.statfsSync(bound, { bigint: true })
    const both = await only({ device: upper })
    expect(both.mounts.map(({ mountPoint }) => mountPoint).sort()).toEqual([bound, point].sort())
    for (const { statfs } of both.mounts) expect(statfs).toMatchObject({ ok: true, value: { blocks: sizes.blocks } })
  })
})

describe('who has a device that is not mounted here', () => {
  test('a process with an open descriptor, and whether it can write', async () => {
    const loop = await attach(newImage())
    const free = await only({ device: loop })
    expect(free.users).toMatchObject({ exclusive: 'free', foreignMounts: [], openers: [], swap: false })

    for (const [redirection, writable] of [
      ['<', false],
      ['<>', true],
    ] as const) {
      const holder = begin('sh', '-c', `exec 5${redirection}"$1"; echo ready; read -r line`, 'sh', loop)
      await firstOutput(holder)
      const { users } = await only({ device: loop })
      expect(users?.openers).toEqual([{ pid: holder.pid, command: 'sh', writable }])
      holder.stdin?.end()
      await new Promise((resolve) => holder.once('exit', resolve))
    }
    expect((await only({ device: loop })).users?.openers).toEqual([])
  })

  test('a mount in another mount namespace', async () => {
    const image = newImage()
    run('mkfs.xfs', '-q', image)
    const loop = await attach(image)
    const point = join(directory, 'inside')
    fs.mkdirSync(point)
    const script = 'mount "$1" "$2" && echo ready; read -r line'
    const holder = begin('unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', loop, point)
    expect(await firstOutput(holder)).toBe('ready')
    const device = await only({ device: loop })
    expect(device.mounts).toEqual([])
    expect(device.users?.exclusive).toBe('busy')
    expect(device.users?.foreignMounts).toMatchObject([
      {
        ...{ pid: holder.pid, command: 'sh' },
        mount: { mountPoint: point, type: 'xfs', dev: idOf(loop), statfs: { ok: true, value: { blockSize: 4096n } } },
      },
    ])
    holder.stdin?.end()
    await new Promise((resolve) => holder.once('exit', resolve))
  })

  test('a mapping without a descriptor is seen on an image', async () => {
    const image = newImage('mapped.img', 2 ** 20)
    const script =
      'import mmap,os,sys\nf=os.open(sys.argv[1],os.O_RDWR)\nm=mmap.mmap(f,4096)\nos.closerange(3,64)\nprint("ready",flush=True)\nsys.stdin.read()'
    const holder = begin('python3', '-c', `${script}`, image)
    await firstOutput(holder)
    const { users } = await only({ image })
    expect(users?.openers).toEqual([{ pid: holder.pid, command: 'python3', writable: true }])
  })

  test('whoever could not be looked at makes it incomplete and is named', async () => {
    const loop = await attach(newImage())
    const { users } = await only({ device: loop })
    expect(users?.complete).toBe((users?.unseen ?? []).every(({ pid }) => pid === 1))
    for (const { pid } of users?.unseen ?? []) expect(() => fs.readlinkSync(`/proc/${pid}/fd/0`)).toThrow()
  })

  test('a lock on the node shows with its holder', async () => {
    const loop = await attach(newImage())
    const tool = host.exec(['sleep', '1'], { detached: true, lock: [loop] })
    let locks: DeviceSnapshot['locks'] = []
    for (let tries = 0; locks.length === 0 && tries < 100; tries += 1) locks = (await only({ device: loop })).locks
    expect(locks).toEqual([{ pid: expect.any(Number), command: expect.stringMatching(/^(flock|sleep)$/) }])
    expect((await host.exec(['true'], { detached: true, lock: [loop] })).ended).toBe('locked')
    expect((await tool).ended).toBe('exited')
    expect((await only({ device: loop })).locks).toEqual([])
  })
})

describe('an image', () => {
  test('whose file was removed below a loop device is not mistaken for its successor', async () => {
    const image = newImage()
    const loop = await attach(image)
    fs.rmSync(image)
    newImage()
    const device = await only({ image })
    expect(device.kind).toBe('image')
    // Nothing shows that the loop device is over another file.
    expect(device.users?.complete).toBe(false)
    expect(idOf(loop)).not.toBe(device.id)
  })

  test('of an ordinary user is known to be free, without any right', async () => {
    const nobody = 65_534
    fs.chmodSync(directory, 0o755)
    const image = newImage('own.img', 2 ** 20)
    fs.chownSync(image, nobody, nobody)
    fs.chmodSync(image, 0o600)
    const look = async (uid: number) => {
      const script = fileURLToPath(new URL('./fixtures/look.ts', import.meta.url))
      return new Promise<{ complete: boolean; openers: unknown[]; localBacking: boolean; size: string }>(
        (resolve, reject) => {
          const child = spawn(process.execPath, ['--import', 'tsx', script, image], {
            ...{
              uid,
              gid: uid,
              stdio: ['ignore', 'pipe', 'inherit'],
              env: { PATH: process.env['PATH'], HOME: '/nonexistent' },
            },
          })
          let text = ''
          child.stdout?.on('data', (chunk) => {
            text += chunk
          })
          child.once('close', () => (text === '' ? reject(new Error('no answer')) : resolve(JSON.parse(text))))
        },
      )
    }
    expect(await look(nobody)).toMatchObject({ complete: true, openers: [], localBacking: true, size: '1048576' })

    const holder = spawn('sh', ['-c', 'exec 5<>"$1"; echo ready; read -r line', 'sh', image], {
      uid: nobody,
      gid: nobody,
    })
    cleanups.push(() => holder.kill('SIGKILL'))
    await firstOutput(holder)
    expect(await look(nobody)).toMatchObject({
      complete: true,
      openers: [{ pid: holder.pid, command: 'sh', writable: true }],
    })
    holder.kill('SIGKILL')
    await new Promise((resolve) => holder.once('exit', resolve))

    const locker = begin('flock', image, 'sh', '-c', 'echo ready; read -r line')
    await firstOutput(locker)
    expect(await look(nobody)).toMatchObject({ complete: false })
    locker.stdin?.end()
    await new Promise((resolve) => locker.once('exit', resolve))

    fs.chmodSync(image, 0o666)
    expect(await look(nobody)).toMatchObject({ complete: false })
  })
})

describe('control groups', () => {
  const hierarchies = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup'].filter((root) =>
    fs.existsSync(`${root}/cgroup.procs`),
  )

  test('there is one to leave', () => {
    expect(hierarchies.length).toBeGreaterThan(0)
  })

  test.each(hierarchies)('a detached tool leaves the one of its caller in %s', async (root) => {
    const group = join(root, `volume-expander-test-${process.pid}`)
    fs.mkdirSync(group)
    const script = fileURLToPath(new URL('../../hosts/local/fixtures/caller.ts', import.meta.url))
    const lock = newImage('lock', 0)
    // The tool forks at once: its child has to leave, too.
    const tool = ['sh', '-c', 'sh -c "sleep 0.5; cat /proc/self/cgroup; true"; cat /proc/self/cgroup']
    const inside = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"'
    const caller = begin('sh', '-c', inside, 'sh', group, process.execPath, '--import', 'tsx', script, lock, ...tool)
    const result = JSON.parse(await firstOutput(caller)) as { ended: string; stdout: string; ownControlGroup: boolean }
    await new Promise((resolve) => caller.once('exit', resolve))
    expect(result).toMatchObject({ ended: 'exited', ownControlGroup: true })
    expect(result.stdout).not.toContain(basename(group))
    for (let tries = 0; tries < 100 && fs.existsSync(group); tries += 1) {
      try {
        fs.rmdirSync(group)
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    expect(fs.existsSync(group)).toBe(false)
  })

  test('a caller in the root has nothing to leave', async () => {
    const result = await host.exec(['true'], { detached: true })
    expect(result.ownControlGroup).toBe(true)
  })
})

describe('the file below a loop device', () => {
  test('shows who else has it: a process with a descriptor, and another loop device', async () => {
    const image = newImage()
    const loop = await attach(image)
    const alone = (await only({ device: loop })).users
    expect(alone).toMatchObject({ openers: [], loops: [basename(loop)], localBacking: true })
    const holder = begin('sh', '-c', 'exec 3<"$1"; echo ready; exec sleep 60', 'sh', image)
    await firstOutput(holder)
    expect((await only({ device: loop })).users?.openers).toMatchObject([{ pid: holder.pid, writable: false }])
    const second = await attach(image)
    expect((await only({ device: loop })).users?.loops).toEqual(expect.arrayContaining([basename(second)]))
  })
})
