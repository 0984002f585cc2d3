import { execFile } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { esbuild } from '../scripts/esbuild.ts'

/** What runs beside the built package, in processes of its own. */
const programs = [
  new URL('./growth/runner.ts', import.meta.url),
  new URL('./growth/workload.ts', import.meta.url),
  new URL('./growth/single.ts', import.meta.url),
  new URL('./ssh/runner.ts', import.meta.url),
] as const
const root = fileURLToPath(new URL('../', import.meta.url))

/**
 * Builds the package below `directory` as npm would put it there, `node_modules/volume-expander`, and beside it the programs that measure it:
 * what is timed is what people install, not sources that are translated while they run.
 */
export async function buildPackage(directory: string): Promise<void> {
  const own = join(directory, 'node_modules/volume-expander')
  await mkdir(own, { recursive: true })
  await cp(join(root, 'package.json'), join(own, 'package.json'))
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }\n')
  const tsup = join(dirname(createRequire(import.meta.url).resolve('tsup')), 'cli-default.js')
  const build = [tsup, '--no-dts', '--no-sourcemap', '--silent', '--out-dir', join(own, 'dist')]
  await promisify(execFile)(process.execPath, build, { cwd: root })
  await esbuild().build({
    absWorkingDir: root,
    entryPoints: programs.map((program) => fileURLToPath(program)),
    outdir: directory,
    outbase: 'bench',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    plugins: [installedPackage],
  })
}

interface PluginBuild {
  onResolve(
    options: { filter: RegExp },
    resolve: (given: { path: string }) => { path: string; external: boolean },
  ): void
}

/** The sources name the library by its file, so that they are type-checked against it; what runs loads the built package. */
const installedPackage = {
  name: 'installed-package',
  setup(build: PluginBuild): void {
    build.onResolve({ filter: /\/(?:src|providers\/file|hosts\/ssh)\/index\.ts$/ }, ({ path }) => {
      const [, entry = ''] = /(\/providers\/file|\/hosts\/ssh)\/index\.ts$/.exec(path) ?? []
      return { path: `volume-expander${entry}`, external: true }
    })
  },
} as const
