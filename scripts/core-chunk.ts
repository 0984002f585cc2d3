import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Metafile } from './esbuild.ts'

/** The part of esbuild's plug-in interface that is used here; esbuild comes with tsup, whose declarations need more than this project's compiler options allow. */
interface Build {
  readonly initialOptions: Readonly<Record<string, unknown>>
  readonly esbuild: {
    build(options: Readonly<Record<string, unknown>>): Promise<{ readonly metafile: Metafile }>
  }
  onResolve(
    options: { filter: RegExp },
    find: (request: {
      readonly path: string
      readonly importer: string
      readonly resolveDir: string
    }) => { path: string; namespace?: string; sideEffects: true } | undefined,
  ): void
  onLoad(
    options: { filter: RegExp; namespace?: string },
    load: (request: {
      readonly path: string
    }) => Promise<{ contents: string; loader: 'ts'; resolveDir?: string } | undefined>,
  ): void
}

const anchor = 'volume-expander:core'

/**
 * Puts all that an entry loads at once into one shared file.
 *
 * esbuild makes a shared file for every set of entries that have modules in common, and there are dozens of such sets. Each file that an import has to find, read and
 * link costs about as much as 100 kB of code in one of them, so that the root took three times as long to load in sixteen files as in two. Whatever needs some of the
 * root's modules is made to need them all: then they have the same set, and share one file.
 *
 * @param entry the entry's source, relative to the working directory
 */
export function coreChunk(entry: string): { readonly name: string; setup(build: Build): Promise<void> } {
  return {
    name: 'core-chunk',
    async setup(build) {
      const { core, users } = await modulesOf(entry, build)
      const absolute = new Set([...core].map((path) => resolve(path)))
      build.onResolve({ filter: /^/ }, ({ path, importer, resolveDir }) => {
        if (path === anchor) return { path, namespace: anchor, sideEffects: true }
        // The package says that its modules have no side effects; what nobody names would be left out.
        const file = importer === anchor ? path : path.startsWith('.') ? join(resolveDir, path) : undefined
        return file !== undefined && absolute.has(file) ? { path: file, sideEffects: true } : undefined
      })
      build.onLoad({ filter: /^/, namespace: anchor }, async () => ({
        contents: [...absolute].map((path) => `import ${JSON.stringify(path)}`).join('\n'),
        loader: 'ts',
        resolveDir: dirname(resolve(entry)),
      }))
      for (const user of users) {
        const path = resolve(user)
        const filter = new RegExp(`^${path.replace(/[^\w/]/g, '\\$&')}$`)
        // At the end, so that no line moves.
        build.onLoad({ filter }, async () => ({
          contents: `${await readFile(path, 'utf8')}\nimport '${anchor}'\n`,
          loader: 'ts',
        }))
      }
    },
  }
}

/** The modules that an entry loads at once, without itself, and the entries (those of dynamic imports as well) that need some of them. */
async function modulesOf(
  entry: string,
  build: Build,
): Promise<{ readonly core: ReadonlySet<string>; readonly users: readonly string[] }> {
  const { metafile } = await build.esbuild.build({
    ...build.initialOptions,
    plugins: [],
    packages: 'external',
    metafile: true,
    write: false,
    logLevel: 'silent',
  })
  const entries = Object.entries(metafile.outputs).flatMap(([path, { entryPoint }]) =>
    entryPoint === undefined ? [] : [{ entryPoint, modules: loadedAtOnce(metafile, path) }],
  )
  const own = entries.find(({ entryPoint }) => entryPoint === entry)
  if (own === undefined) throw new Error(`${entry} is no entry of the build.`)
  const core = new Set([...own.modules].filter((path) => path !== entry))
  const users = entries.filter(({ modules }) => [...modules].some((path) => core.has(path)))
  return { core, users: users.map(({ entryPoint }) => entryPoint) }
}

function loadedAtOnce({ outputs }: Metafile, path: string): ReadonlySet<string> {
  const files = new Set([path])
  // A set's iteration also visits what is added meanwhile.
  for (const file of files) {
    for (const { path: imported, kind, external } of outputs[file]?.imports ?? []) {
      if (kind === 'import-statement' && external !== true) files.add(imported)
    }
  }
  return new Set([...files].flatMap((file) => Object.keys(outputs[file]?.inputs ?? {})))
}
