import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { esbuild } from '../../scripts/esbuild.ts'

const programs = [new URL('./guest.ts', import.meta.url), new URL('./grow.ts', import.meta.url)] as const

/** What runs as processes of their own. */
export interface Programs {
  /** The whole campaign, inside the kernel that may be crashed. */
  readonly guest: string
  /** One growth, in a process that is killed. */
  readonly grow: string
}

/** Builds the programs into a directory: a process that is killed a thousand times must not translate its sources a thousand times. */
export async function buildPrograms(directory: string): Promise<Programs> {
  await mkdir(directory, { recursive: true })
  await esbuild().build({
    absWorkingDir: fileURLToPath(new URL('../../', import.meta.url)),
    entryPoints: programs.map((program) => fileURLToPath(program)),
    outdir: directory,
    outbase: 'campaign/crash',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
  })
  return { guest: join(directory, 'guest.mjs'), grow: join(directory, 'grow.mjs') }
}
