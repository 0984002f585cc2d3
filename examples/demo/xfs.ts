import type { Kind } from './kind.ts'
import { runTool, tryTool } from './machine.ts'

/** XFS grows only while it is mounted, which takes CAP_SYS_ADMIN. */
export const xfs: Kind = {
  name: 'XFS',
  type: 'xfs',
  packageName: 'xfsprogs',
  // mkfs.xfs makes nothing below 300 MiB.
  size: '320Mi',
  files: 32,
  makeTool: 'mkfs.xfs',
  async make(image) {
    await runTool('mkfs.xfs', ['-q', '-f', image])
  },
  checkTool: 'xfs_repair',
  async check(image) {
    const { ok, complaint } = await tryTool('xfs_repair', ['-n', image])
    return ok ? undefined : complaint
  },
  lookOptions: ['ro', 'nouuid'],
}
