import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const checkout = fileURLToPath(new URL('../../', import.meta.url))
const bin = (name: string): string => join(checkout, 'node_modules/.bin', name)
const manifest: { name: string; exports: Record<string, unknown>; dependencies: object; peerDependencies: object } =
  JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'))
const specifiers = Object.keys(manifest.exports)
  .filter((subpath) => subpath !== './package.json')
  .map((subpath) => manifest.name + subpath.slice(1))

let scratch: string
let tarball: string
let project: string

/** What the program printed; what it said when it fails is the failure's message. */
function run(cwd: string, program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${program} ${args.join(' ')}\n${stdout}\n${stderr}`)
  }
}

function evaluate(script: string): unknown {
  writeFileSync(join(project, 'script.mjs'), script)
  return JSON.parse(run(project, process.execPath, 'script.mjs'))
}

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'package-'))
  run(checkout, bin('tsup'))
  run(checkout, 'npm', 'pack', '--ignore-scripts', '--pack-destination', scratch)
  const [name] = readdirSync(scratch)
  if (name === undefined) throw new Error('npm pack made no tarball')
  tarball = join(scratch, name)
  project = join(scratch, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  run(project, 'npm', 'install', '--offline', '--no-audit', '--no-fund', tarball)
})

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe('the packed tarball', () => {
  test('holds what it should and nothing else', () => {
    const files = run(scratch, 'tar', '-tzf', tarball).trim().split('\n').sort()
    expect(files).toEqual(expect.arrayContaining(['package/LICENSE', 'package/README.md', 'package/CHANGELOG.md']))
    const allowed = /^package\/(dist\/.+\.(js|d\.ts|js\.map)|package\.json|README\.md|CHANGELOG\.md|LICENSE)$/
    expect(files.filter((file) => !allowed.test(file))).toEqual([])
  })

  test('installs its small libraries beside itself, and no optional peer', () => {
    const installed = readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'))
    expect(installed).toEqual(expect.arrayContaining([manifest.name, ...Object.keys(manifest.dependencies)]))
    expect(Object.keys(manifest.dependencies)).toEqual(['fast-xml-parser', 'yaml'])
    const peers = Object.keys(manifest.peerDependencies).map((name) => name.split('/')[0] ?? name)
    expect(installed.filter((name) => peers.includes(name))).toEqual([])
    expect(installed.length).toBeLessThan(12)
  })

  test('passes publint', () => {
    run(checkout, bin('publint'), 'run', tarball, '--strict')
  })

  test('has types that resolve wherever modules do', () => {
    run(checkout, bin('attw'), tarball, '--profile', 'esm-only')
  })
})

describe('a JavaScript consumer', () => {
  test.each(specifiers)('imports %s', (specifier) => {
    const names = evaluate(`console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(specifier)}))))`)
    expect(names).not.toEqual([])
  })

  test('loads the root from two files: the entry, and the one that all entries share', () => {
    const dist = join(project, 'node_modules', manifest.name, 'dist')
    const files = new Set(['index.js'])
    for (const file of files) {
      const text = readFileSync(join(dist, file), 'utf8')
      for (const [, path] of text.matchAll(/^(?:import|export)\b[^;]*?'(\.[^']+)'/gm)) files.add(join(path ?? ''))
    }
    expect(files.size).toBe(2)
  })

  test('sees one error class, whichever subpath threw', () => {
    const result = evaluate(`
      import { parseSize, VolumeExpansionError } from 'volume-expander'
      import { file } from 'volume-expander/providers/file'
      const thrownBy = (attempt) => { try { attempt() } catch (error) { return error } }
      const errors = [thrownBy(() => parseSize('nonsense')), thrownBy(() => file().volume(''))]
      console.log(JSON.stringify(errors.map((error) => [error instanceof VolumeExpansionError, error?.code])))
    `)
    expect(result).toEqual([
      [true, 'invalid-size'],
      [true, 'invalid-reference'],
    ])
  })

  test('passes a volume from one subpath to a function of another', () => {
    const image = join(scratch, 'missing.img')
    const result = evaluate(`
      import { plan } from 'volume-expander'
      import { file } from 'volume-expander/providers/file'
      const error = await plan({ volume: file().volume(${JSON.stringify(image)}), to: '1Gi' }).catch((error) => error)
      console.log(JSON.stringify([error.name, error.code]))
    `)
    expect(result).toEqual(['VolumeExpansionError', 'not-found'])
  })
})

describe('a TypeScript consumer', () => {
  const consumer = (): string =>
    [
      ...specifiers.map((specifier, index) => `import * as entry${index} from '${specifier}'`),
      "import { expand, VolumeExpansionError, type Report } from 'volume-expander'",
      "import { file } from 'volume-expander/providers/file'",
      `export const entries: readonly object[] = [${specifiers.map((_, index) => `entry${index}`).join(', ')}]`,
      'export async function grow(path: string): Promise<Report | string> {',
      "  const run = expand({ volume: file().volume(path), to: '2Gi' })",
      '  return await run.catch((error: unknown) => (error instanceof VolumeExpansionError ? error.code : String(error)))',
      '}',
      '// @ts-expect-error: a size is no date',
      'expand({ volume: file().volume("/a"), to: new Date() })',
    ].join('\n')

  test.each([
    ['NodeNext', 'NodeNext'],
    ['ESNext', 'Bundler'],
  ])('compiles against the declarations themselves (module %s, resolution %s)', (module, moduleResolution) => {
    const types = join(project, 'node_modules/@types')
    mkdirSync(types, { recursive: true })
    for (const name of ['@types/node', 'undici-types']) {
      const link = join(project, 'node_modules', name)
      rmSync(link, { force: true })
      symlinkSync(join(checkout, 'node_modules', name), link)
    }
    writeFileSync(join(project, 'consumer.ts'), consumer())
    const compilerOptions = {
      target: 'ES2023',
      lib: ['ES2023', 'ESNext.Disposable'],
      module,
      moduleResolution,
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
    }
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }))
    run(project, bin('tsc'), '-p', '.')
  })

  test('finds no optional peer and no third party in any declaration', () => {
    const dist = join(project, 'node_modules', manifest.name, 'dist')
    const declarations = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.d.ts'),
    )
    const imported = declarations.flatMap((name) =>
      [...readFileSync(join(dist, name), 'utf8').matchAll(/(?:from|import\()\s*['"]([^'"]+)['"]/g)].map(
        (match) => match[1],
      ),
    )
    expect(declarations.length).toBeGreaterThan(specifiers.length - 1)
    expect(imported.filter((specifier) => !/^(\.|node:)/.test(specifier ?? ''))).toEqual([])
  })
})
