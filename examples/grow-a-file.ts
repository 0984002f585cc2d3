// The smallest useful program: makes a disk image larger, with the filesystem in it.
//
//     npx tsx examples/grow-a-file.ts /srv/disks/data.img 200Gi
//
// Without arguments it makes a volume of its own to grow, and removes it again.
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { file } from '../providers/file/index.ts'
import { expand, formatSize, localHost } from '../src/index.ts'

const [image, to = '1Gi'] = process.argv.slice(2)

if (image === undefined) {
  const path = join(await mkdtemp(join(tmpdir(), 've-example-')), 'data.img')
  try {
    const handle = await open(path, 'wx')
    await handle.truncate(2 ** 26).finally(() => handle.close())
    // A volume alone: no host is looked at, since there is no filesystem in it yet.
    show(await expand({ volume: file().volume(path), to }))
  } finally {
    await rm(dirname(path), { recursive: true })
  }
} else {
  // Mounted through a loop device it is grown online; else in the image, which `offline: true` allows as long as nobody uses it.
  show(await expand({ volume: file().volume(resolve(image)), host: localHost(), to, offline: true }))
}

function show({ changed, layers }: Awaited<ReturnType<typeof expand>>): void {
  for (const { kind, label, before, after } of layers) {
    console.log(`${kind.padEnd(10)}  ${formatSize(before)} -> ${formatSize(after)}  ${label}`)
  }
  if (!changed) console.log('It was large enough already.')
}
