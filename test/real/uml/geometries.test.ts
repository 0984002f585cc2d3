import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { localHost, plan } from '../../../src/index.ts'
import { extGeometries, type Geometry, xfsGeometries } from '../filesystems/geometries.ts'
import { expectSound } from '../support/checks.ts'
import { run } from '../support/commands.ts'
import { expectContent, writeContent } from '../support/content.ts'
import { Disk } from '../support/disk.ts'
import { expectGrown, expectNothingToDo, expectRefused } from '../support/outcomes.ts'

// Filesystems of all shapes, grown while they are mounted and written to.

const host = localHost()

async function mounted({ name, mkfs, from, to }: Geometry): Promise<Disk> {
  const disk = new Disk(from)
  disk.mkfs(mkfs)
  disk.resize(to)
  // The kernel would go on initialising inode tables in the background, into the memory that the image is in.
  await disk.mount(/^ext[34]/.test(name) ? ['noinit_itable'] : [])
  return disk
}

/** Writes and syncs while something else happens; resolves with what has to be in the file afterwards. */
async function meanwhile(path: string, work: () => Promise<unknown>): Promise<Buffer> {
  const file: FileHandle = await open(path, 'wx')
  const written: Buffer[] = []
  let ended = false
  const writing = (async () => {
    while (!ended) {
      const record = randomBytes(3000)
      await file.write(record)
      await file.datasync()
      written.push(record)
    }
  })()
  try {
    await work()
  } finally {
    ended = true
    await writing
    await file.close()
  }
  expect(written.length).toBeGreaterThan(0)
  return Buffer.concat(written)
}

async function growMounted(geometry: Geometry, family: 'ext' | 'xfs'): Promise<void> {
  const disk = await mounted(geometry)
  const request = { host, path: disk.mountPoint, to: 'fill' } as const
  const content = writeContent(disk.mountPoint)
  const written = await meanwhile(join(disk.mountPoint, 'meanwhile'), () => grow(disk, request, geometry))
  // What is read from now on comes from the disk.
  writeFileSync('/proc/sys/vm/drop_caches', '3')
  expectContent(disk.mountPoint, content)
  expect(readFileSync(join(disk.mountPoint, 'meanwhile')).equals(written)).toBe(true)
  await disk.unmount()
  expectSound(disk.device, family)
  if (converts(geometry)) expect(run('dumpe2fs', '-h', disk.device)).toMatch(/features:.* meta_bg/)
}

/** Whether this kernel converts it to meta_bg; before 6.7 some did also where there was no need. */
function converts({ convertsOnline }: Geometry): boolean {
  if (convertsOnline !== 'before 6.7') return convertsOnline === true
  const [major = 0, minor = 0] = release().split('.').map(Number)
  return major < 6 || (major === 6 && minor < 7)
}

async function grow(
  disk: Disk,
  request: { readonly host: typeof host; readonly path: string; readonly to: 'fill' },
  geometry: Geometry,
): Promise<void> {
  const { refusedOnline, to } = geometry
  if (refusedOnline === 'unsupported-feature' || refusedOnline === 'limit-exceeded') {
    await expectRefused(disk, request, refusedOnline)
    return
  }
  if (converts(geometry)) {
    await expectRefused(disk, request, 'ext4-meta-bg-conversion')
    const grown = await expectGrown({ ...request, accept: ['ext4-meta-bg-conversion'] })
    expect(grown.report.findings).toContainEqual(
      expect.objectContaining({ code: 'ext4-meta-bg-conversion', severity: 'warning', accepted: true }),
    )
    return
  }
  if ((await plan(request)).actions.length === 0) {
    await expectNothingToDo(request)
    return
  }
  const { report } = await expectGrown(request)
  expect(report.layers.at(-1)?.after).toBeLessThanOrEqual(to)
}

describe('ext2, ext3 and ext4', () => {
  test.each(extGeometries.filter(({ large, offlineOnly }) => large !== true && offlineOnly !== true))(
    '$name',
    (geometry) => growMounted(geometry, 'ext'),
  )
})

describe('XFS version 4, which newer kernels need not have', () => {
  test.each(xfsGeometries.filter(({ version4 }) => version4 === true))('$name', (geometry) =>
    growMounted(geometry, 'xfs'),
  )
})
