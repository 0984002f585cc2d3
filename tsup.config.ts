import { readFileSync } from 'node:fs'
import { coreChunk } from './scripts/core-chunk.ts'

const manifest: { bin: Record<string, string>; exports: Record<string, { default: string } | string> } = JSON.parse(
  readFileSync(new URL('package.json', import.meta.url), 'utf8'),
)

/** The `exports` and `bin` of package.json are the one table of entries: `dist/providers/…` is built from `providers/…`, everything else from `src/…`. */
const entries: [string, string][] = [...Object.values(manifest.exports), ...Object.values(manifest.bin)].flatMap(
  (target) => {
    const name = /^\.\/dist\/(.+)\.js$/.exec(typeof target === 'string' ? target : target.default)?.[1]
    if (name === undefined) return []
    return [[name, name.startsWith('providers/') ? `${name}.ts` : `src/${name}.ts`]]
  },
)

// Not typed by tsup: its declarations do not compile without skipLibCheck.
const config: Readonly<Record<string, unknown>> = {
  entry: Object.fromEntries(entries),
  format: 'esm',
  target: 'node20',
  platform: 'node',
  // Shared chunks: an error thrown by a provider has to be an instance of the class that the root exports.
  splitting: true,
  esbuildPlugins: [coreChunk('src/index.ts')],
  treeshake: true,
  sourcemap: true,
  dts: true,
  clean: true,
}

export default config
