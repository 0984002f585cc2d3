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
  const cheap = ['--type', 'luks2', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000']
  await withPassphrase(node, 'cryptsetup', 'luksFormat', '--batch-mode', ...cheap, '--key-file', '-', device)
  await openLuks(node, device, name)
  onTestFinished(async () => {
    await until(`the end of ${name}`, () => ended(node, closeMapping, name))
  })
  return `/dev/mapper/${name}`
}

/** Opens a container, as somebody does after a reset of the node. */
export async function openLuks(node: Node, device: string, name: string): Promise<void> {
  await withPassphrase(node, 'cryptsetup', 'open', '--key-file', '-', device, name)
  await node.settled()
}

// What a reset has taken apart already has ended as well.
const closeMapping = '[ ! -e "/dev/mapper/$1" ] || cryptsetup close "$1"'
const removeGroup = 'lvm vgs "$1" >/dev/null 2>&1 || exit 0; lvm vgremove --force --yes "$1"'

async function ended(node: Node, script: string, name: string): Promise<boolean> {
  return (await node.shell.attempt(['sh', '-c', script, 'end', name])).code === 0
}

async function withPassphrase(node: Node, ...argv: readonly string[]): Promise<void> {
  const { code, stderr } = await node.shell.attempt(argv, passphrase)
  if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
}

/** A volume group on the devices, with one logical volume that takes all there is. @returns the logical volume's device */
export async function logicalVolumeOn(node: Node, ...devices: readonly string[]): Promise<string> {
  const group = `vg${randomUUID().slice(0, 8)}`
  await node.shell.run('vgcreate', '--quiet', '--yes', group, ...devices)
  onTestFinished(async () => {
    await until(`the end of ${group}`, () => ended(node, removeGroup, group))
  })
  await node.shell.run('lvcreate', '--quiet', '--yes', '--extents', '100%FREE', '--name', 'data', group)
  await node.settled()
  return `/dev/${group}/data`
}
