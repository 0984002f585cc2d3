import { describe, expect, test } from 'vitest'
import { circle, importsOfModule, importsOfText, type ModuleImport, modulesBelow } from './imports.ts'

const source = modulesBelow('src').flatMap(importsOfModule)
const providers = modulesBelow('providers').flatMap(importsOfModule)

/** Where an optional peer may be loaded, and only at the first call that needs it. */
const mayLoadPeers = /^src\/(hosts\/(ssh|kubernetes)|kubernetes)\b/
const lowerParts = /^src\/(services|hosts|layers|filesystems)\//

function show(imports: readonly ModuleImport[]): readonly string[] {
  return imports.map(({ from, specifier }) => `${from} imports ${specifier}`)
}

function providerOf(path: string): string | undefined {
  return /^providers\/([^/]+)\//.exec(path)?.[1]
}

describe('imports', () => {
  test('are found in the source', () => {
    expect(source.length).toBeGreaterThan(20)
  })

  test('of the core are builtins and relative modules', () => {
    const thirdParty = source.filter(({ specifier, to }) => to === undefined && !specifier.startsWith('node:'))
    const wrong = thirdParty.filter(({ from, when }) => !(when === 'call' && mayLoadPeers.test(from)))
    expect(show(wrong)).toEqual([])
  })

  test('of the core never name a provider', () => {
    expect(show(source.filter(({ to }) => to !== undefined && !to.startsWith('src/')))).toEqual([])
  })

  test('of services, hosts, layers and filesystems never name the pipeline', () => {
    const wrong = source.filter(({ from, to }) => lowerParts.test(from) && to?.startsWith('src/pipeline/'))
    expect(show(wrong)).toEqual([])
  })

  test('of a provider name neither another provider nor the pipeline', () => {
    const wrong = providers.filter(({ from, to }) => {
      if (to === undefined) return false
      if (to.startsWith('src/')) return to.startsWith('src/pipeline/') || to === 'src/index.ts'
      return providerOf(to) !== providerOf(from)
    })
    expect(show(wrong)).toEqual([])
  })

  test('never go in a circle', () => {
    expect(circle([...source, ...providers])).toBeUndefined()
  })
})

describe('the reader of imports', () => {
  test('sees every way to import, and when it takes effect', () => {
    const text = `
      import { a } from './a.ts'
      import type { B } from '../b.ts'
      import { type C } from './c.ts'
      import './d.ts'
      export { e } from 'e'
      export type { F } from './f.ts'
      type G = import('./g.ts').G
      const h = await import('h')
      const named: string = 'i'
      const i = await import(named)
      const text = "import './no.ts'" // import './neither.ts'
    `
    expect(importsOfText('src/x/y.ts', text).map(({ specifier, to, when }) => [specifier, to, when])).toEqual([
      ['./a.ts', 'src/x/a.ts', 'load'],
      ['../b.ts', 'src/b.ts', 'compile'],
      ['./c.ts', 'src/x/c.ts', 'load'],
      ['./d.ts', 'src/x/d.ts', 'load'],
      ['e', undefined, 'load'],
      ['./f.ts', 'src/x/f.ts', 'compile'],
      ['./g.ts', 'src/x/g.ts', 'compile'],
      ['h', undefined, 'call'],
      ['i', undefined, 'call'],
    ])
  })

  test('finds a circle, but not one of types alone', () => {
    const load = (from: string, to: string): ModuleImport => ({ from, to, specifier: to, when: 'load' })
    const imports = [load('a', 'b'), load('b', 'c'), load('x', 'b')]
    expect(circle(imports)).toBeUndefined()
    expect(circle([...imports, { ...load('c', 'a'), when: 'compile' }])).toBeUndefined()
    expect(circle([...imports, load('c', 'a')])).toEqual(['a', 'b', 'c', 'a'])
  })
})
