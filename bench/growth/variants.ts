import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { file } from '../../providers/file/index.ts'
import { expand, localHost } from '../../src/index.ts'
import type { VariantName } from './cases.ts'
import type { ScratchVolume } from './volume.ts'

export interface Variant {
  readonly name: VariantName
  readonly grow: (volume: ScratchVolume) => Promise<unknown>
}

const execute = promisify(execFile)
const host = localHost()

const ours: Variant = {
  name: 'ours',
  grow: ({ growthCase, mountPoint, image }) =>
    growthCase.online
      ? expand({ host, path: mountPoint, to: 'fill' }).then()
      : expand({ volume: file().volume(image), host, to: 'fill', offline: true }).then(),
}

const tool: Variant = { name: 'tool', grow: growthTool }

/** NeedResize and Resize of k8s.io/mount-utils as a CSI driver calls them, one after the other. */
const mountUtils: Variant = {
  name: 'mountUtils',
  async grow(volume) {
    const format = ['-p', '-s', 'TYPE', '-s', 'PTTYPE', '-o', 'export', volume.device]
    await command('blockdev', '--getro', volume.device)
    await command('blkid', ...format)
    await command('blkid', ...format)
    await growthTool(volume)
  },
}

/** mount-utils knows mounted filesystems on block devices only. */
export function variantsFor({ online }: { readonly online: boolean }): readonly Variant[] {
  return online ? [ours, tool, mountUtils] : [ours, tool]
}

function growthTool({ growthCase, device, mountPoint }: ScratchVolume): Promise<unknown> {
  return growthCase.filesystem === 'xfs' ? command('xfs_growfs', '-d', mountPoint) : command('resize2fs', device)
}

function command(program: string, ...args: string[]): Promise<unknown> {
  return execute(program, args, { env: { LC_ALL: 'C', PATH: process.env['PATH'] } })
}
