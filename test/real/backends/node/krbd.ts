import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import type { CephLab } from '../../../lab/ceph/ceph.ts'
import type { GuestAddress, GuestShell } from '../../../lab/node/shell.ts'

/** Ports of the cluster that the kernel's client speaks to: monitor and OSD, by the first version of the protocol. */
async function kernelPorts(lab: CephLab): Promise<readonly number[]> {
  const dump: { osds: { public_addrs: { addrvec: { type: string; addr: string }[] } }[] } = JSON.parse(
    await lab.ceph('osd', 'dump', '--format', 'json'),
  )
  const addresses = dump.osds.flatMap(({ public_addrs: { addrvec } }) => addrvec.filter(({ type }) => type === 'v1'))
  return [lab.monitor.v1, ...addresses.map(({ addr }) => Number(addr.split(':').at(-1)))]
}

/**
 * Brings the cluster into a guest for as long as the test runs: at the very addresses that the cluster's own maps name, since everything of it is on 127.0.0.1.
 */
export async function bring(lab: CephLab, { host, port, identity, knownHosts }: GuestAddress): Promise<void> {
  const forwards = (await kernelPorts(lab)).flatMap((each) => ['-R', `127.0.0.1:${each}:127.0.0.1:${each}`])
  const child = spawn(
    'ssh',
    [
      ...['-N', '-v', '-F', '/dev/null', '-i', identity, '-p', `${port}`, '-l', 'root', ...forwards],
      ...[`UserKnownHostsFile=${knownHosts}`, 'IdentitiesOnly=yes', 'ExitOnForwardFailure=yes'].flatMap((option) => [
        '-o',
        option,
      ]),
      host,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await ended
  })
  let said = ''
  let standing = 0
  for await (const chunk of child.stderr) {
    said += `${chunk}`
    standing = said.split('remote forward success').length - 1
    if (standing >= forwards.length / 2) break
  }
  if (standing < forwards.length / 2) throw new Error(`The cluster could not be brought into the guest:\n${said}`)
}

/** Maps an image of the pool `volumes` by the kernel of the guest, as `rbd map` does; the path of its device. */
export async function map(lab: CephLab, shell: GuestShell, spec: string): Promise<string> {
  await shell.run('modprobe', 'rbd')
  const [pool = '', image = ''] = spec.split('/')
  const secret = await lab.key('cinder')
  const before = await devices(shell)
  await shell.write(
    '/sys/bus/rbd/add_single_major',
    `127.0.0.1:${lab.monitor.v1} name=cinder,secret=${secret} ${pool} ${image} -`,
  )
  const id = (await devices(shell)).find((each) => !before.includes(each))
  if (id === undefined) throw new Error(`The kernel made no device of ${spec}.`)
  return `/dev/rbd${id}`
}

export async function unmap(shell: GuestShell, device: string): Promise<void> {
  await shell.write('/sys/bus/rbd/remove_single_major', device.replace('/dev/rbd', ''))
}

async function devices(shell: GuestShell): Promise<readonly string[]> {
  return (await shell.run('ls', '/sys/bus/rbd/devices')).split('\n').filter((name) => name !== '')
}
