import type { GuestShell } from './shell.ts'

const subsystems = '/sys/kernel/config/nvmet/subsystems'
const ports = '/sys/kernel/config/nvmet/ports'

/** An NVMe disk inside a guest. */
export interface NvmeDisk {
  readonly serial: string
  /** Where the guest's kernel is told to look at the size of what is behind the disk. */
  readonly revalidate: string
}

/**
 * Shows a device of the guest as an NVMe disk, served by the guest's own kernel over its loopback: the emulator's own NVMe disks cannot be grown while they are in use. It has the
 * marks of an EBS volume, and is gone after a reboot.
 */
export async function nvmeOver(shell: GuestShell, device: string, serial: string): Promise<NvmeDisk> {
  const name = `nqn.2020-01.lab:${serial}`
  const own = `${subsystems}/${name}`
  const port = `${ports}/1`
  await shell.run('modprobe', '--all', 'nvmet-tcp', 'nvme-tcp')
  await shell.attempt(['mount', '-t', 'configfs', 'configfs', '/sys/kernel/config'])
  await shell.run('mkdir', own, `${own}/namespaces/1`)
  await shell.write(`${own}/attr_allow_any_host`, '1')
  await shell.write(`${own}/attr_serial`, serial)
  await shell.write(`${own}/attr_model`, 'Amazon Elastic Block Store')
  await shell.write(`${own}/namespaces/1/device_path`, device)
  await shell.write(`${own}/namespaces/1/enable`, '1')
  if ((await shell.attempt(['mkdir', port])).code === 0) {
    await shell.write(`${port}/addr_trtype`, 'tcp')
    await shell.write(`${port}/addr_adrfam`, 'ipv4')
    await shell.write(`${port}/addr_traddr`, '127.0.0.1')
    await shell.write(`${port}/addr_trsvcid`, '4420')
  }
  await shell.run('ln', '-s', own, `${port}/subsystems/${name}`)
  await shell.write('/dev/nvme-fabrics', `transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=${name}`)
  return { serial, revalidate: `${own}/namespaces/1/revalidate_size` }
}

/** Takes it away again. */
export async function removeNvme(shell: GuestShell, { serial }: NvmeDisk): Promise<void> {
  const name = `nqn.2020-01.lab:${serial}`
  await shell.run('sh', '-c', disconnect, 'disconnect', name)
  await shell.run('rm', `${ports}/1/subsystems/${name}`)
  await shell.run('rmdir', `${subsystems}/${name}/namespaces/1`, `${subsystems}/${name}`)
}

const disconnect =
  'for c in /sys/class/nvme/nvme*; do if [ "$(cat "$c/subsysnqn")" = "$1" ]; then echo 1 >"$c/delete_controller"; fi; done'
