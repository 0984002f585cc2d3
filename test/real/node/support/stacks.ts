import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { until } from '../../support/commands.ts'
import type { Node } from './node.ts'
import { passphrase } from './requests.ts'

/** A table with one partition that takes all there is. @returns its device */
export async function partitionOn(node: Node, device: string, label: 'gpt' | 'dos'): Promise<string> {
  const made = await node.shell.attempt(['sfdisk', '--quiet', '--label', label, device], ',,L\n')
  if (made.code !== 0) throw new Error(`sfdisk: ${made.stderr}`)
  await node.settled()
  return /\d$/.test(device) ? `${device}p1` : `${device}1`
}

/** A LUKS2 container that is open until the test ends; what opens it costs little. @returns its mapping */
export async function luksOn(node: Node, device: string): Promise<string> {
  const name = `luks-${randomUUID().slice(0, 8)}`
  const { shell } = node
  const cheap = ['--type', 'luks2', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000']
  for (const argv of [
    ['cryptsetup', 'luksFormat', '--batch-mode', ...cheap, '--key-file', '-', device],
    ['cryptsetup', 'open', '--key-file', '-', device, name],
  ]) {
    const { code, stderr } = await shell.attempt(argv, passphrase)
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
  }
  onTestFinished(async () => {
    await until(`the end of ${name}`, async () => (await shell.attempt(['cryptsetup', 'close', name])).code === 0)
  })
  await node.settled()
  return `/dev/mapper/${name}`
}

/** A volume group on the devices, with one logical volume that takes all there is. @returns the logical volume's device */
export async function logicalVolumeOn(node: Node, ...devices: readonly string[]): Promise<string> {
  const group = `vg${randomUUID().slice(0, 8)}`
  const { shell } = node
  await shell.run('vgcreate', '--quiet', '--yes', group, ...devices)
  onTestFinished(async () => {
    await until(
      `the end of ${group}`,
      async () => (await shell.attempt(['vgremove', '--force', '--yes', group])).code === 0,
    )
  })
  await shell.run('lvcreate', '--quiet', '--yes', '--extents', '100%FREE', '--name', 'data', group)
  await node.settled()
  return `/dev/${group}/data`
}
