import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { file } from '../../providers/file/index.ts'
import { formatSize, parseSize, plan } from '../../src/index.ts'
import { showGrowth, showPlan } from './growth.ts'
import { makeSparseFile } from './image.ts'
import type { Stage } from './stage.ts'

/** Without any tool for a filesystem: the volume itself is grown all the same. */
export async function showVolumeAlone({ screen, proofs, directory, signal }: Stage): Promise<void> {
  screen.section('A volume alone')
  const path = join(directory, 'volume.img')
  await makeSparseFile(path, parseSize('128Mi'))
  const planned = await plan({ volume: file().volume(path), to: '1Gi', signal })
  showPlan(screen, planned)
  await showGrowth(screen, planned)
  const { size } = await stat(path, { bigint: true })
  proofs.add('size', size === parseSize('1Gi'), `the file has ${formatSize(size)}`)
}
