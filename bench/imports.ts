import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { pairwise, type Spread, spreadOf } from './statistics.ts'

const run = promisify(execFile)

/** What loading the package costs a fresh process. */
export interface ImportCost {
  readonly bare: Spread
  readonly withPackage: Spread
  /** Milliseconds by which a process that imports the package lives longer than one that imports nothing; pair by pair. */
  readonly over: Spread
  /** Milliseconds of the import alone, as the importing process sees it. */
  readonly inside: Spread
  /** The package's own files that are loaded. */
  readonly modules: readonly string[]
  readonly thirdParty: readonly string[]
  /** Modules of Node.js itself that a bare process had not loaded yet. */
  readonly builtins: number
}

const reporting = `
const began = performance.now()
await import('volume-expander')
process.stdout.write(String(performance.now() - began))
`
// Hooks run on a thread of their own, so that they have no other way to tell than a file.
const hooks = `
import { appendFileSync } from 'node:fs'
let path
export function initialize(given) { path = given }
export async function load(url, context, next) {
  appendFileSync(path, url + '\\n')
  return next(url, context)
}
`
const builtinCount = `
const before = new Set(process.moduleLoadList)
await import('volume-expander')
process.stdout.write(String(process.moduleLoadList.filter((name) => /^NativeModule /.test(name) && !before.has(name)).length))
`

/** @param directory where {@link import('./package.ts').buildPackage} has built the package */
export async function measureImport(directory: string, rounds: number): Promise<ImportCost> {
  const script = async (name: string, text: string): Promise<string> => {
    const path = join(directory, name)
    await writeFile(path, text)
    return path
  }
  const nothing = await script('nothing.mjs', '')
  const importing = await script('importing.mjs', "import 'volume-expander'\n")
  const inside = await script('inside.mjs', reporting)
  const builtins = await script('builtins.mjs', builtinCount)
  const timed = async (path: string): Promise<number> => {
    const began = performance.now()
    await run(process.execPath, [path])
    return performance.now() - began
  }
  // The first runs fill the page cache.
  await timed(nothing)
  await timed(importing)
  const bareTimes: number[] = []
  const packageTimes: number[] = []
  const insideTimes: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    bareTimes.push(await timed(nothing))
    packageTimes.push(await timed(importing))
    insideTimes.push(Number((await run(process.execPath, [inside])).stdout))
  }
  const loaded = await loadedModules(directory, script)
  const own = pathToFileURL(join(directory, 'node_modules/volume-expander/')).href
  const files = loaded.filter((url) => url.startsWith('file:') && !url.endsWith('/importing.mjs'))
  return {
    bare: spreadOf(bareTimes),
    withPackage: spreadOf(packageTimes),
    over: pairwise(packageTimes, bareTimes, (imported, bare) => imported - bare),
    inside: spreadOf(insideTimes),
    modules: files.filter((url) => url.startsWith(own)).map((url) => url.slice(own.length)),
    thirdParty: files.filter((url) => !url.startsWith(own)),
    builtins: Number((await run(process.execPath, [builtins])).stdout),
  }
}

async function loadedModules(
  directory: string,
  script: (name: string, text: string) => Promise<string>,
): Promise<readonly string[]> {
  const list = join(directory, 'loaded')
  await writeFile(list, '')
  await script('hooks.mjs', hooks)
  const register = `import { register } from 'node:module'
register('./hooks.mjs', import.meta.url, { data: ${JSON.stringify(list)} })
`
  const preload = await script('register.mjs', register)
  await run(process.execPath, ['--import', preload, join(directory, 'importing.mjs')])
  return (await readFile(list, 'utf8')).split('\n').filter((url) => url !== '')
}
