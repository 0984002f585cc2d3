import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dataDirectory } from './data.ts'
import type { Kind } from './kind.ts'
import { runTool, tryTool } from './machine.ts'

/** ext4 grows mounted, with CAP_SYS_RESOURCE, and offline for anybody who may write the image. */
export const ext4: Kind = {
  name: 'ext4',
  type: 'ext4',
  packageName: 'e2fsprogs',
  size: '128Mi',
  files: 16,
  makeTool: 'mkfs.ext4',
  async make(image, directory) {
    const content = directory === undefined ? [] : ['-d', directory]
    await runTool('mkfs.ext4', ['-q', '-F', ...content, '--', image])
  },
  checkTool: 'e2fsck',
  async check(image) {
    const { ok, complaint } = await tryTool('e2fsck', ['-f', '-n', '--', image])
    return ok ? undefined : complaint
  },
  lookOptions: ['ro'],
  unmounted: {
    usageTool: 'dumpe2fs',
    async usage(image) {
      const facts = await runTool('dumpe2fs', ['-h', image])
      const count = (name: string): bigint => BigInt(new RegExp(`^${name}:\\s*(\\d+)$`, 'm').exec(facts)?.[1] ?? '0')
      const blockSize = count('Block size')
      return {
        size: count('Block count') * blockSize,
        available: (count('Free blocks') - count('Reserved block count')) * blockSize,
      }
    },
    async readBack(image, names, into) {
      const target = join(into, dataDirectory)
      await mkdir(target, { recursive: true })
      const commands = names.map((name) => `dump /${dataDirectory}/${name} ${name}\n`).join('')
      await writeFile(join(into, 'commands'), commands)
      await runTool('debugfs', ['-f', join(into, 'commands'), image], target)
    },
  },
}
