import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { esbuild, type Metafile } from '../scripts/esbuild.ts'

const root = new URL('../', import.meta.url)
const manifest: {
  readonly exports: Readonly<Record<string, { readonly default: string } | string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
} = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))

/** An entry of the package, bundled alone with everything that it needs. */
export interface EntrySize {
  /** As in `exports`: `.`, `./testing` … */
  readonly entry: string
  /** What importing it loads. */
  readonly loaded: BundleSize
  /** The same with what is loaded later, by the calls that need it. */
  readonly whole: BundleSize
  /** Source modules in the bundle that are somebody else's. */
  readonly thirdParty: readonly string[]
}

export interface BundleSize {
  readonly minifiedBytes: number
  readonly gzippedBytes: number
  /** Source modules. */
  readonly modules: number
}

/** The entries of the package, with the source of each. */
export function entries(): readonly { readonly entry: string; readonly source: string }[] {
  return Object.entries(manifest.exports).flatMap(([entry, target]) => {
    const name = typeof target === 'string' ? undefined : /^\.\/dist\/(.+)\.js$/.exec(target.default)?.[1]
    if (name === undefined) return []
    return [{ entry, source: name.startsWith('providers/') ? `${name}.ts` : `src/${name}.ts` }]
  })
}

async function sizeOf(entry: string, source: string): Promise<EntrySize> {
  const directory = fileURLToPath(root)
  const { outputFiles, metafile } = await esbuild().build({
    absWorkingDir: directory,
    entryPoints: [source],
    outdir: 'dist',
    bundle: true,
    // Whoever needs one installs it.
    // What npm installs beside the package is not in it.
    external: [...Object.keys(manifest.peerDependencies), ...Object.keys(manifest.dependencies)],
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    legalComments: 'none',
    write: false,
    metafile: true,
  })
  const contents = new Map(outputFiles.map((file) => [relative(directory, file.path), file.contents]))
  const outputs = Object.keys(metafile.outputs)
  const measure = (chosen: readonly string[]): BundleSize => {
    const chunks = chosen.map((path) => contents.get(path) ?? new Uint8Array())
    return {
      minifiedBytes: sum(chunks.map(({ length }) => length)),
      gzippedBytes: sum(chunks.map((chunk) => gzipSync(chunk, { level: 9 }).length)),
      modules: sum(chosen.map((path) => Object.keys(metafile.outputs[path]?.inputs ?? {}).length)),
    }
  }
  const first = outputs.find((path) => metafile.outputs[path]?.entryPoint === source)
  if (first === undefined) throw new Error(`esbuild made nothing of ${source}.`)
  return {
    entry,
    loaded: measure(loadedWith(first, metafile.outputs)),
    whole: measure(outputs),
    thirdParty: Object.keys(metafile.inputs).filter((path) => !/^(?:src|providers)\//.test(path)),
  }
}

/** The chunk and all that its static imports lead to. */
function loadedWith(first: string, outputs: Metafile['outputs']): readonly string[] {
  const loaded = new Set([first])
  // A set's iteration also visits what is added meanwhile.
  for (const path of loaded) {
    for (const imported of outputs[path]?.imports ?? []) {
      if (imported.kind === 'import-statement' && imported.external !== true) loaded.add(imported.path)
    }
  }
  return [...loaded]
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

export async function entrySizes(): Promise<readonly EntrySize[]> {
  return Promise.all(entries().map(({ entry, source }) => sizeOf(entry, source)))
}
